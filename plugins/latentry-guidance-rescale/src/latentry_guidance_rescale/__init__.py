"""Guidance whose result spreads as the prompt's own prediction does."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from latentry_sdk import JOB, Field, Number, Options, StageSpec, State, hookimpl
from latentry_sdk.guidance import NEGATIVE, PROMPT, Guide, Moment, add_guide, needs_guides

if TYPE_CHECKING:
    from torch import Tensor


class RescaleOptions(Options):
    """How far to go to the prompt's own spread."""

    guidance_rescale: Number = Field(
        0.0, ge=0, le=1, description="Give guided predictions the prompt's spread: 0 not at all, 1 wholly"
    )


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stage before the family's denoiser."""
    return [
        StageSpec(
            "guidance_rescale",
            rescale,
            needs=(JOB,),
            options=RescaleOptions,
            further=needs_guides(RescaleOptions),
            description="Take the contrast of strong guidance back",
        )
    ]


def rescale(state: State) -> State:
    """Wrap the guide, where there is guidance."""
    job = state[JOB]
    phi = job.options(RescaleOptions).guidance_rescale
    if not phi:
        return state
    if job.plan.request.guidance <= 1:
        job.warn("guidance_rescale has no effect: guidance is off")
        return state
    job.apply("guidance_rescale", phi)
    return add_guide(state, lambda inner: partial(rescaled, inner, phi))


def rescaled(inner: Guide, phi: float, rows: "Mapping[str, Tensor]", moment: Moment) -> "Tensor":
    """phi out std(c) / std(out) + (1 - phi) out, each image by itself: arXiv:2305.08891, section 3.4.

    Where there is no negative row, nothing was guided and nothing is rescaled.
    """
    out: Tensor = inner(rows, moment)
    if NEGATIVE not in rows:
        return out
    wanted, found = (each.std(dim=(1, 2, 3), keepdim=True) for each in (rows[PROMPT], out))
    return phi * (out * (wanted / found)) + (1 - phi) * out
