"""What a user can set, by schedule."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from latentry_sdk import Field, Number, Options

LOWEST, HIGHEST = 1e-5, 1e4
"""Levels that can be asked for: float32 latents hold them, and every model's own range lies between."""

Level = Annotated[Number, Field(ge=LOWEST, le=HIGHEST)]


def _listed(value: Any) -> Any:
    """Text of numbers with commas between them, in brackets or not, as a list."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    inner = text[1:-1].strip() if text[:1] + text[-1:] == "[]" else text
    return inner.split(",") if inner else []


Values = BeforeValidator(_listed)


class LevelsOptions(Options):
    """The model's levels that a schedule is made of."""

    zero_snr: bool | None = Field(
        None,
        description="Down to noise alone (arXiv:2305.08891), or not; as the checkpoint says when left out",
    )


class MadeOptions(LevelsOptions):
    """What a schedule that is worked out can leave out."""

    skip_last: bool = Field(
        False,
        description="Work out one level more and leave out the last above 0, as other programs do for some "
        "samplers: mends multistep samplers whose last step would be many times as long as the one before",
    )


class RangeOptions(MadeOptions):
    """The ends of a schedule that is made of noise levels."""

    sigma_min: Level | None = Field(None, description="Lowest level above 0; the model's own when left out")
    sigma_max: Level | None = Field(None, description="Highest level; the model's own when left out")


class KarrasOptions(RangeOptions):
    """The ends and the bend of a Karras schedule."""

    rho: Number = Field(7.0, ge=1, le=100, description="More gives more steps at low noise")


class PolyexponentialOptions(RangeOptions):
    """The ends and the bend of a polyexponential schedule."""

    rho: Number = Field(1.0, ge=0.1, le=10, description="More gives more steps at low noise")


class BetaOptions(RangeOptions):
    """The ends of a beta schedule and the shape of its distribution."""

    alpha: Number = Field(0.6, ge=0.1, le=10, description="Less gives more steps at low noise")
    beta: Number = Field(0.6, ge=0.1, le=10, description="Less gives more steps at high noise")


class TableOptions(MadeOptions):
    """The model that a table was made for, which its range does not tell."""

    table: Literal["sd1", "sdxl"] = Field("sd1", description="The model the levels were searched for")


class SigmasOptions(LevelsOptions):
    """The levels of a schedule that is written out."""

    values: Annotated[tuple[Annotated[Number, Field(ge=0, le=HIGHEST)], ...], Values] = Field(
        (), max_length=1001, description="Noise levels, highest first: 14.6,5.2,1.3"
    )


class TimestepsOptions(LevelsOptions):
    """The timesteps of a schedule that is written out."""

    values: Annotated[tuple[Annotated[Number, Field(ge=0)], ...], Values] = Field(
        (), max_length=1000, description="Training timesteps, highest first: 999,500,250"
    )
