"""Read input pictures safely, and write results with their metadata."""

from collections.abc import Sequence

from latentry_sdk import ARTIFACTS, IMAGES, INPUTS, JOB, Count, Field, Options, StageSpec, State, hookimpl


class ReadOptions(Options):
    """Limits of what is decoded."""

    max_input_megapixels: Count = Field(64, ge=1, le=1024, description="Megapixels of input times batch")


class WriteOptions(Options):
    """How pictures are encoded."""

    quality: Count = Field(90, ge=1, le=100, description="Quality of JPEG and WebP pictures")


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The first and the last stage of most tasks."""
    return [
        StageSpec(
            "read_images",
            read_images,
            needs=(JOB,),
            gives=(INPUTS,),
            options=ReadOptions,
            description="Read the input pictures",
        ),
        StageSpec(
            "write_images",
            write_images,
            needs=(IMAGES, JOB),
            gives=(ARTIFACTS,),
            options=WriteOptions,
            description="Encode the pictures with their metadata",
        ),
    ]


def read_images(state: State) -> State:
    """Every picture among the task's inputs, upright and 8-bit; `InvalidInput` says which is none."""
    from latentry_images.reading import read_image, read_mask

    job = state[JOB]
    limit = job.options(ReadOptions).max_input_megapixels * 1_000_000 // job.plan.request.batch
    readers = {"image": read_image, "mask": read_mask}
    given = job.plan.request.inputs
    return state.put(
        INPUTS,
        {
            spec.name: readers[spec.kind](given[spec.name], spec.name, limit)
            for spec in job.plan.task.inputs
            if spec.kind in readers and given.get(spec.name) is not None
        },
    )


def write_images(state: State) -> State:
    """The pictures as files, each with its own record."""
    from latentry_images.writing import encode

    job = state[JOB]
    quality, images = job.options(WriteOptions).quality, state[IMAGES]
    artifacts = tuple(encode(image, job, index, quality) for index, image in enumerate(images))
    return state.put(ARTIFACTS, artifacts)
