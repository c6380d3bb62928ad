"""Read input pictures safely, and write results with their metadata."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Literal

from latentry_sdk import (
    ARTIFACTS,
    IMAGES,
    INPUTS,
    JOB,
    PLACED,
    Count,
    Field,
    ImageReady,
    Job,
    ModelHeader,
    Options,
    Placed,
    StageSpec,
    State,
    hookimpl,
)

if TYPE_CHECKING:
    from PIL.Image import Image

MaskChannel = Literal["luminance", "alpha", "transparent"]


class ReadOptions(Options):
    """Limits of what is decoded, and how a mask is meant."""

    max_input_megapixels: Count = Field(64, ge=1, le=1024, description="Megapixels of input times batch")
    mask_channel: MaskChannel = Field(
        "luminance", description="What of a mask says where to change: what is white, opaque or transparent"
    )


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
    from latentry_sdk.sources import digest, load

    job = state[JOB]
    options = job.options(ReadOptions)
    limit = options.max_input_megapixels * 1_000_000 // job.plan.request.batch
    readers: Mapping[str, Callable[..., Image]] = {
        "image": read_image,
        "mask": partial(read_mask, channel=options.mask_channel),
    }
    given, pictures, digests = job.plan.request.inputs, {}, {}
    for spec in job.plan.task.inputs:
        if spec.kind in readers and given.get(spec.name) is not None:
            job.check_cancelled()
            data = load(given[spec.name], spec.name)
            pictures[spec.name] = readers[spec.kind](data, spec.name, limit)
            digests[spec.name] = digest(data)
    job.apply("inputs", digests)
    return state.put(INPUTS, pictures)


def write_images(state: State) -> State:
    """The pictures as files, each with its own record."""
    from latentry_images.writing import encode

    job = state[JOB]
    images = state[IMAGES]
    _account(job, state.get(PLACED, {}))
    quality, artifacts = job.options(WriteOptions).quality, []
    for index, image in enumerate(images):
        job.check_cancelled()
        artifacts.append(encode(image, job, index, quality))
        job.notify(ImageReady(job.id, index, artifacts[-1].seed))
    return state.put(ARTIFACTS, tuple(artifacts))


def _account(job: Job, placed: Mapping[str, Placed]) -> None:
    """Report what a replay needs to know of: the models' hashes, and the versions of what took part."""
    from latentry_images.provenance import library_versions, plugin_versions, took_part

    model = job.plan.header
    others = {name: plan.header for name, plan in job.plan.further.items() if plan is not None}
    job.apply("model", {**job.applied["model"], **_content(job, model)})
    if others := {name: header for name, header in others.items() if header.path != model.path}:
        named = {name: {"name": each.path.name, **_content(job, each)} for name, each in others.items()}
        job.apply("further_models", named)
    plugins = took_part(job, placed)
    job.apply("plugins", plugin_versions(plugins))
    job.apply("libraries", library_versions(plugins))


def _content(job: Job, header: ModelHeader) -> Mapping[str, str]:
    """The model's hash; none for one that was taken away after it was loaded."""
    from latentry_images.hashing import model_hash

    with suppress(OSError):
        return {"sha256": model_hash(header, job.plan.config.cache_dir)}
    return {}
