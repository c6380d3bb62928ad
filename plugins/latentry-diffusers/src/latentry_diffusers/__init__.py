"""Folders of any pipeline of diffusers that draws pictures from a prompt, run whole."""

from collections.abc import Sequence
from functools import partial

from latentry_diffusers import roles
from latentry_diffusers.arguments import DecodeOptions
from latentry_diffusers.detection import NAME, detect
from latentry_diffusers.loading import load
from latentry_diffusers.refusing import check
from latentry_sdk import (
    CONDITIONING,
    DENOISE,
    IMAGES,
    JOB,
    KNOWN,
    LATENTS,
    MASK_LATENTS,
    MASKED_LATENTS,
    NOISE,
    PLACED,
    SEEDS,
    SIGMAS,
    SIZE,
    SOURCE,
    Array,
    Denoise,
    ModelFamily,
    ModelRange,
    OnStep,
    SamplerSpec,
    SchedulerSpec,
    StageSpec,
    hookimpl,
)

TEXT = f"{NAME}-text"
"""The family of classes that take no picture: planning refuses tasks that start from one."""

ROLES = {role: f"{NAME}.{role}" for role in ("encode_prompt", "encode_image", "noise", "denoise", "decode")}
SPACE = frozenset({NAME})


@hookimpl
def register_models() -> Sequence[ModelFamily]:
    """Pipelines that can start from a picture, and those that cannot."""
    text = {role: stage for role, stage in ROLES.items() if role != "encode_image"}
    return (
        ModelFamily(
            NAME, partial(detect, pictures=True), load, ROLES, description="Pipelines that take pictures too"
        ),
        ModelFamily(
            TEXT, partial(detect, pictures=False), load, text, description="Pipelines that take prompts alone"
        ),
    )


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """What stands for the solver that a pipeline has: no other fits its models."""
    return (SamplerSpec(NAME, unchanged, spaces=SPACE, description="A whole pipeline's own solver"),)


@hookimpl
def register_schedulers() -> Sequence[SchedulerSpec]:
    """What stands for the noise schedule that a pipeline has: no other fits its models."""
    return (SchedulerSpec(NAME, counted, spaces=SPACE, description="A whole pipeline's own schedule"),)


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The families' roles."""
    latents = (KNOWN, MASK_LATENTS, MASKED_LATENTS)
    return (
        StageSpec(ROLES["encode_prompt"], roles.encode_prompt, needs=(JOB,), gives=(CONDITIONING,)),
        StageSpec(ROLES["encode_image"], roles.encode_image, needs=(SOURCE,), gives=latents),
        StageSpec(ROLES["noise"], roles.noise, gives=(NOISE,)),
        StageSpec(ROLES["denoise"], roles.denoise, gives=(DENOISE,)),
        StageSpec(
            ROLES["decode"],
            roles.decode,
            needs=(JOB, CONDITIONING, SEEDS, SIGMAS, SIZE, LATENTS, PLACED),
            gives=(IMAGES, JOB),
            options=DecodeOptions,
            further=check,
            description="Run the whole pipeline",
        ),
    )


def unchanged(
    _denoise: Denoise[Array],
    x: Array,
    _sigmas: Sequence[float],
    *,
    on_step: OnStep[Array],  # noqa: ARG001
) -> Array:
    """`x` as it is: the pipeline solves by itself, and tells of its steps by itself."""
    return x


def counted(steps: int, _levels: ModelRange) -> tuple[float, ...]:
    """Levels that say how many steps there are, and nothing of the pipeline's own: 1 … 0, evenly."""
    return tuple((steps - index) / steps for index in range(steps + 1))
