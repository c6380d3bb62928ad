"""What a user asks for, and what comes back."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from latentry.errors import InvalidRequest, shown

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SEED = 2**64 - 1
M = TypeVar("M", bound=BaseModel)


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

Name = Annotated[str, Field(min_length=1, max_length=128)]
"""The name of a sampler, a task and the like."""

Reference = Annotated[str, Field(min_length=1, max_length=4096)]
"""What names a model: a name, a folder or a file."""

Text = Annotated[str, Field(max_length=100_000)]
"""A prompt."""

Pixels = Annotated[Count, Field(ge=8, le=16384)]
"""A width or height."""

Pairs = Annotated[Mapping[str, str], Field(max_length=64)]


class Options(BaseModel):
    """The base of every option set a plugin declares: frozen, and no unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Request(Options):
    """One job, as asked. What belongs to a plugin is in `options[name]`."""

    task: Name = Field(description="What to do, one of `latentry tasks`")
    prompt: Text = Field("", description="What the picture shows")
    negative: Text = Field("", description="What it should not show")
    model: Reference | None = Field(None, description="A model's name, folder or .safetensors file")
    seed: Seed | None = Field(None, description="First image's seed; none or -1 draws one")
    steps: Count = Field(20, ge=1, le=1000, description="Sampling steps")
    sampler: Name | None = Field(None, description="One of `latentry samplers`")
    scheduler: Name | None = Field(None, description="One of `latentry schedulers`")
    guidance: Number = Field(5, ge=0, le=100, description="Classifier-free guidance; 1 or less turns it off")
    width: Pixels | None = Field(None, description="Pixels; the model's own size when left out")
    height: Pixels | None = Field(None, description="Pixels; the model's own size when left out")
    batch: Count = Field(1, ge=1, le=64, description="Images in one run, with seeds seed, seed + 1, …")
    format: Name | None = Field(None, description="File format of the pictures")
    dtype: Name | None = Field(None, description="Number type of the weights; else the device's choice")
    place: Pairs = Field({}, description="component=device, or *=device for all")
    quantize: Pairs = Field({}, description="component=quantizer:scheme")
    optimizers: tuple[str, ...] = Field((), max_length=64, description="In order: name, or component=name")
    memory: Literal["auto", "off"] = Field("auto", description="Whether more may be added to fit the memory")
    fallback: tuple[Name, ...] = Field((), max_length=64, description="Devices for what others cannot hold")
    inputs: Mapping[str, Any] = Field({}, max_length=64, description="Paths, bytes or PIL images, by name")
    options: Mapping[str, Mapping[str, Any]] = Field({}, max_length=256, description="Options by owner")


def parsed(kind: type[M], values: Mapping[str, Any], *, where: str = "") -> M:
    """`values` as a `kind`; `InvalidRequest` in one line that says where, what, and what is legal."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as exc:
        raise InvalidRequest(f"{where}{explained(exc, kind)}") from exc


def explained(exc: ValidationError, kind: type[BaseModel]) -> str:
    """The first things wrong, at most three, each with its field and value."""
    problems = exc.errors(include_url=False, include_context=False)
    lines = [_one(problem, kind) for problem in problems[:3]]
    return "; ".join(lines) + (f" and {len(problems) - 3} more" if len(problems) > 3 else "")


def _one(problem: Mapping[str, Any], kind: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(sorted(kind.model_fields)) or "it has none"
        return f"unknown option {shown(place)}; known: {known}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place[:80]}: {message} (got {shown(problem['input'])})"


@dataclass(frozen=True)
class Artifact:
    """One thing a job made: the bytes of a file."""

    data: bytes = field(repr=False)
    media_type: str
    seed: int

    def open(self) -> "Image":
        """The picture as PIL sees it."""
        from PIL import Image

        return Image.open(io.BytesIO(self.data))

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the file; `FileExistsError` unless `overwrite`."""
        with path.open("wb" if overwrite else "xb") as file:
            file.write(self.data)


@dataclass(frozen=True)
class Result:
    """What a job gave: artifacts, what was applied, seconds by stage, and warnings for the user."""

    artifacts: tuple[Artifact, ...]
    applied: Mapping[str, Any]
    timings: Mapping[str, float]
    warnings: tuple[str, ...] = ()
