"""The task img2img: a picture changed by a prompt, as far as a strength says."""

from latentry_img2img.fitting import CONTENT, crop, prepare
from latentry_img2img.options import Img2ImgOptions, check
from latentry_img2img.starting import start
from latentry_sdk import (
    IMAGES,
    INPUTS,
    JOB,
    KNOWN,
    LATENTS,
    NOISE,
    SIGMAS,
    SIZE,
    SOURCE,
    InputSpec,
    StageSpec,
    TaskSpec,
    hookimpl,
)

STAGES = (
    "read_images",
    "img2img.prepare",
    "prompt?",
    "load",
    "seamless?",
    "freeu?",
    "@encode_prompt",
    "guidance_end?",
    "pag?",
    "guidance_rescale?",
    "cfg_zero?",
    "@encode_image",
    "@noise",
    "variation?",
    "@denoise",
    "img2img.start",
    "refiner.split?",
    "preview?",
    "sample",
    "refiner?",
    "@decode",
    "img2img.crop",
    "write_images",
)


@hookimpl
def register_tasks() -> tuple[TaskSpec, ...]:
    """Image to image."""
    return (
        TaskSpec(
            "img2img",
            STAGES,
            inputs=(InputSpec("image", "image", description="The picture to change"),),
            options=Img2ImgOptions,
            check=check,
            description="Change a whole picture as a prompt says",
        ),
    )


@hookimpl
def register_stages() -> tuple[StageSpec, ...]:
    """What comes before and after the sampling."""
    return (
        StageSpec(
            "img2img.prepare",
            prepare,
            needs=(JOB, INPUTS, SIGMAS),
            gives=(SOURCE, SIZE, CONTENT, SIGMAS),
            description="Fit the picture to a size the model takes, and cut the noise levels to the strength",
        ),
        StageSpec(
            "img2img.start",
            start,
            needs=(JOB, NOISE, SIGMAS, KNOWN),
            gives=(LATENTS,),
            description="Noise the picture",
        ),
        StageSpec(
            "img2img.crop", crop, needs=(IMAGES, CONTENT), gives=(IMAGES,), description="Cut off the padding"
        ),
    )
