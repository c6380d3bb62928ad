"""What a user can say about the second pass."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from latentry_sdk import Count, Field, Name, Number, Options, Pixels, Text

Upscaler = Literal[
    "latent",
    "latent_antialiased",
    "latent_bicubic",
    "latent_bicubic_antialiased",
    "latent_nearest",
    "latent_nearest_exact",
    "lanczos",
    "bicubic",
    "bilinear",
    "nearest",
]


def spelled(name: Any) -> Any:
    """A1111's names as ours: "Latent (nearest-exact)" is `latent_nearest_exact`."""
    return re.sub(r"[^a-z0-9]+", "_", name[:64].lower()).strip("_") if isinstance(name, str) else name


def pairs(given: Any) -> Any:
    """A mapping as it is; texts `NAME=VALUE`, which the command line gives, as one."""
    if not isinstance(given, tuple | list):
        return given
    if not all(isinstance(text, str) and text.partition("=")[0] for text in given):
        raise ValueError("NAME=VALUE is wanted")
    return {name: value for name, _, value in (text.partition("=") for text in given)}


Settings = Annotated[Mapping[str, Any], BeforeValidator(pairs), Field(max_length=32)]


class HiresOptions(Options):
    """The second pass; what is left out is as in the first."""

    scale: Number = Field(2.0, ge=1, le=16, description="How much larger, unless width or height says it")
    width: Pixels | None = Field(None, description="Pixels; with height left out, the aspect is kept")
    height: Pixels | None = Field(None, description="Pixels; with both, what is too much is cut off")
    upscaler: Annotated[Upscaler, BeforeValidator(spelled)] = Field(
        "latent", description="Enlarge the latents, or decode, enlarge the pixels and encode"
    )
    strength: Number = Field(
        0.7,
        gt=0,
        le=1,
        description="Share of the steps to run, from the enlarged picture under as much noise",
    )
    steps: Count = Field(0, ge=0, le=1000, description="Steps of the second pass; 0 is as many as the first")
    exact_steps: bool = Field(
        False, description="Run all these steps, of a schedule of steps / strength, as AUTOMATIC1111 does"
    )
    sampler: Name | None = Field(None, description="One of `latentry samplers`")
    scheduler: Name | None = Field(None, description="One of `latentry schedulers`")
    sampler_options: Settings = Field({}, description="Options of the second pass's sampler")
    scheduler_options: Settings = Field({}, description="Options of the second pass's scheduler")
    prompt: Text | None = Field(None, description="What the larger picture shows")
    negative: Text | None = Field(None, description="What it should not show")
    guidance: Number | None = Field(None, ge=0, le=100, description="Classifier-free guidance")
