"""The task hires: a picture at the model's own size, enlarged and sampled again."""

from latentry_hires.options import HiresOptions
from latentry_hires.passes import AGAIN, ASKED, begin, end, upscale
from latentry_hires.planning import NAME, second
from latentry_sdk import JOB, KNOWN, LATENTS, PLACED, SIGMAS, SIZE, StageSpec, TaskSpec, hookimpl

GUIDANCE = ("guidance_end?", "pag?", "guidance_rescale?", "cfg_zero?")
STAGES = (
    "prompt?",
    "load",
    "seamless?",
    "freeu?",
    "@encode_prompt",
    *GUIDANCE,
    "@noise",
    "variation?",
    "@denoise",
    "txt2img.start",
    "hires.begin",
    "preview?",
    "sample",
    "hires.upscale",
    "prompt?",
    "@encode_prompt",
    *GUIDANCE,
    "@noise",
    "@denoise",
    "img2img.start",
    "refiner.split?",
    "preview?",
    "sample",
    "refiner?",
    "hires.end",
    "@decode",
    "write_images",
)


@hookimpl
def register_tasks() -> tuple[TaskSpec, ...]:
    """Text to image in two passes."""
    return (
        TaskSpec(
            NAME,
            STAGES,
            options=HiresOptions,
            further=second,
            description="Make a picture from a prompt, enlarge it, and sample again",
        ),
    )


@hookimpl
def register_stages() -> tuple[StageSpec, ...]:
    """What lies around the two samplings."""
    return (
        StageSpec(
            "hires.begin",
            begin,
            needs=(JOB,),
            gives=(JOB, ASKED),
            description="Count the steps of both passes together",
        ),
        StageSpec(
            "hires.upscale",
            upscale,
            needs=(ASKED, LATENTS, PLACED, SIZE),
            gives=(JOB, SIZE, SIGMAS, KNOWN, AGAIN),
            description="Enlarge the picture or its latents",
        ),
        StageSpec(
            "hires.end", end, needs=(ASKED, AGAIN), gives=(JOB,), description="Tell what both passes did"
        ),
    )
