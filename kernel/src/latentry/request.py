"""What a user asks for, and what comes back."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SEED = 2**64 - 1
MAX_PROMPT = 100_000


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not true or false")
    return value


def _seed(value: int) -> int:
    if not -1 <= value <= MAX_SEED:
        raise ValueError(f"a seed is a number from -1 to {MAX_SEED}")
    return value


Count = Annotated[int, BeforeValidator(_number)]
"""An integer that neither takes `True` for 1 nor cuts 2.5 to 2."""

Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
"""A finite float that does not take `True` for 1."""


Seed = Annotated[Count, AfterValidator(_seed)]
"""A seed; pydantic's own bounds would name a rounded limit."""


class Options(BaseModel):
    """The base of every option set a plugin declares: frozen, and no unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Request(Options):
    """One job, as asked. What belongs to a plugin is in `options[name]`."""

    task: str = Field(max_length=128, description="What to do, one of `latentry tasks`")
    prompt: str = Field("", max_length=MAX_PROMPT, description="What the picture shows")
    negative: str = Field("", max_length=MAX_PROMPT, description="What it should not show")
    model: str | None = Field(
        None, min_length=1, max_length=4096, description="A model's name, folder or .safetensors file"
    )
    seed: Seed | None = Field(None, description="First image's seed; none or -1 draws one")
    steps: Count = Field(20, ge=1, le=1000, description="Sampling steps")
    sampler: str | None = Field(None, min_length=1, max_length=128, description="One of `latentry samplers`")
    scheduler: str | None = Field(
        None, min_length=1, max_length=128, description="One of `latentry schedulers`"
    )
    guidance: Number = Field(
        5.0, ge=0, le=100, description="Classifier-free guidance; 1 or less turns it off"
    )
    width: Count | None = Field(
        None, ge=8, le=16384, description="Pixels; the model's own size when left out"
    )
    height: Count | None = Field(
        None, ge=8, le=16384, description="Pixels; the model's own size when left out"
    )
    batch: Count = Field(1, ge=1, le=64, description="Images in one run, with seeds seed, seed + 1, …")
    format: str | None = Field(None, min_length=1, max_length=32, description="File format of the pictures")
    dtype: str | None = Field(
        None, min_length=1, max_length=32, description="Number type of the weights; else the device's choice"
    )
    place: Mapping[str, str] = Field({}, max_length=64, description="component=device, or *=device for all")
    quantize: Mapping[str, str] = Field({}, max_length=64, description="component=quantizer:scheme")
    optimizers: tuple[str, ...] = Field(
        (), max_length=64, description="Memory and speed techniques, in order"
    )
    inputs: Mapping[str, Any] = Field(
        {}, max_length=64, description="Named inputs: a path, bytes, or a PIL image"
    )
    options: Mapping[str, Mapping[str, Any]] = Field(
        {}, max_length=256, description="Options by their owner's name"
    )


@dataclass(frozen=True)
class Artifact:
    """One thing a job made: the bytes of a file."""

    data: bytes = field(repr=False)
    media_type: str
    seed: int

    def open(self) -> "Image":
        """The picture as PIL sees it."""
        from PIL import Image

        picture = Image.open(io.BytesIO(self.data))
        picture.load()
        return picture

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the file whole or not at all; `OutputExists` unless `overwrite`."""
        from latentry.files import write_whole

        write_whole(path, self.data, overwrite=overwrite)


@dataclass(frozen=True)
class Result:
    """What a job gave: artifacts, what was applied, seconds by stage, and warnings for the user."""

    artifacts: tuple[Artifact, ...]
    applied: Mapping[str, Any]
    timings: Mapping[str, float]
    warnings: tuple[str, ...] = ()
