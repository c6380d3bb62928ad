"""The task inpaint: paint where a mask is white and leave every other pixel as it was."""

from latentry_inpaint.compositing import composite
from latentry_inpaint.options import InpaintOptions, check
from latentry_inpaint.preparing import CHANGE, FRAME, ORIGINAL, prepare
from latentry_inpaint.sampling import keep, start
from latentry_sdk import (
    DENOISE,
    IMAGES,
    INPUTS,
    JOB,
    KNOWN,
    LATENTS,
    MASK,
    MASK_LATENTS,
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
    "inpaint.prepare",
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
    "inpaint.start",
    "inpaint.keep",
    "refiner.split?",
    "preview?",
    "sample",
    "refiner?",
    "@decode",
    "inpaint.composite",
    "write_images",
)


@hookimpl
def register_tasks() -> tuple[TaskSpec, ...]:
    """Inpainting."""
    return (
        TaskSpec(
            "inpaint",
            STAGES,
            inputs=(
                InputSpec("image", "image", description="The picture to change"),
                InputSpec(
                    "mask",
                    "mask",
                    required=False,
                    description="White where the picture may change, black where not",
                ),
            ),
            options=InpaintOptions,
            check=check,
            description="Paint the part of a picture that a mask covers, or new canvas about it",
        ),
    )


@hookimpl
def register_stages() -> tuple[StageSpec, ...]:
    """What comes before, into and after the sampling."""
    return (
        StageSpec(
            "inpaint.prepare",
            prepare,
            needs=(JOB, INPUTS, SIGMAS),
            gives=(SOURCE, MASK, SIZE, ORIGINAL, CHANGE, FRAME, SIGMAS),
            description="Fit picture and mask to a size the model takes, and cut the noise levels",
        ),
        StageSpec(
            "inpaint.start",
            start,
            needs=(JOB, NOISE, SIGMAS, KNOWN, MASK_LATENTS),
            gives=(LATENTS,),
            description="Noise what is under the mask",
        ),
        StageSpec(
            "inpaint.keep",
            keep,
            needs=(JOB, DENOISE, NOISE, SIGMAS, KNOWN, MASK_LATENTS),
            gives=(DENOISE,),
            description="Hold the latents outside the mask to the picture's",
        ),
        StageSpec(
            "inpaint.composite",
            composite,
            needs=(IMAGES, ORIGINAL, CHANGE, FRAME),
            gives=(IMAGES,),
            description="Lay the original over what the mask leaves out",
        ),
    )
