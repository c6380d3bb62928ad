"""The task txt2img: a picture from a prompt alone."""

from latentry_sdk import JOB, LATENTS, NOISE, SIGMAS, StageSpec, TaskSpec, hookimpl
from latentry_txt2img.starting import start

STAGES = (
    "prompt?",
    "load",
    "seamless?",
    "freeu?",
    "@encode_prompt",
    "guidance_end?",
    "pag?",
    "guidance_rescale?",
    "cfg_zero?",
    "@noise",
    "variation?",
    "@denoise",
    "txt2img.start",
    "refiner.split?",
    "preview?",
    "sample",
    "refiner?",
    "@decode",
    "write_images",
)


@hookimpl
def register_tasks() -> tuple[TaskSpec, ...]:
    """Text to image."""
    return (TaskSpec("txt2img", STAGES, description="Make a picture from a prompt"),)


@hookimpl
def register_stages() -> tuple[StageSpec, ...]:
    """Where sampling starts."""
    return (
        StageSpec(
            "txt2img.start",
            start,
            needs=(JOB, NOISE, SIGMAS),
            gives=(LATENTS,),
            description="Scale the noise to the first noise level",
        ),
    )
