"""Stable Diffusion 1, 2, XL and XL refiner: how these checkpoints are recognised, loaded and called."""

from typing import Any

import click

from latentry_sdk import (
    IMAGES,
    JOB,
    KNOWN,
    LATENTS,
    MASK_LATENTS,
    MASKED_LATENTS,
    NOISE,
    PLACED,
    SEEDS,
    SIZE,
    SOURCE,
    ModelFamily,
    StageSpec,
    hookimpl,
)
from latentry_stable_diffusion import denoising, prompts
from latentry_stable_diffusion.activations import activations, work
from latentry_stable_diffusion.commands import quantize
from latentry_stable_diffusion.detection import detect
from latentry_stable_diffusion.loading import load
from latentry_stable_diffusion.noise import noise
from latentry_stable_diffusion.operations import operations
from latentry_stable_diffusion.pictures import decode, encode_image

NAME = "stable-diffusion"
ROLES = ("encode_prompt", "encode_image", "noise", "denoise", "decode")


@hookimpl
def register_models() -> tuple[ModelFamily, ...]:
    """One family: its variants differ in configuration only."""
    roles = {role: f"{NAME}.{role}" for role in ROLES}
    text = "Stable Diffusion 1, 2, XL and XL refiner"
    family = ModelFamily(
        NAME, detect, load, roles, work=work, activations=activations, operations=operations, description=text
    )
    return (family,)


@hookimpl
def register_commands(cli: Any) -> None:
    """`latentry quantize`."""
    group: click.Group = cli
    group.add_command(quantize)


@hookimpl
def register_stages() -> tuple[StageSpec, ...]:
    """The family's roles."""
    return (
        prompts.stage(f"{NAME}.encode_prompt"),
        StageSpec(
            f"{NAME}.encode_image",
            encode_image,
            needs=(JOB, SOURCE, PLACED),
            gives=(KNOWN, MASK_LATENTS, MASKED_LATENTS),
            description="Turn the source and the mask into latents",
        ),
        StageSpec(
            f"{NAME}.noise",
            noise,
            needs=(JOB, SIZE, SEEDS, PLACED),
            gives=(NOISE,),
            description="One noise generator an image, on the CPU",
        ),
        denoising.stage(f"{NAME}.denoise"),
        StageSpec(
            f"{NAME}.decode",
            decode,
            needs=(JOB, LATENTS, PLACED),
            gives=(IMAGES,),
            description="Turn latents into pictures",
        ),
    )
