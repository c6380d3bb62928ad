"""CFG-Zero*, arXiv:2503.18886: guidance from a negative prediction of the right length."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from latentry_sdk import JOB, Count, Field, Options, StageSpec, State, hookimpl
from latentry_sdk.guidance import NEGATIVE, PROMPT, Guide, Moment, add_guide, needs_guides

if TYPE_CHECKING:
    from torch import Tensor


class ZeroOptions(Options):
    """Whether to use it, and for how many steps nothing is predicted."""

    cfg_zero: bool = Field(False, description="Scale the negative prediction to the prompt's, as CFG-Zero*")
    zero_steps: Count = Field(
        0, ge=0, le=1000, description="Of CFG-Zero*: first steps for which the model's output is zero"
    )


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stage before the family's denoiser."""
    return [
        StageSpec(
            "cfg_zero",
            scale,
            needs=(JOB,),
            options=ZeroOptions,
            further=needs_guides(ZeroOptions),
            description="Scale the negative prediction to the prompt's",
        )
    ]


def scale(state: State) -> State:
    """Wrap the guide, where there is guidance."""
    job, options = state[JOB], state[JOB].options(ZeroOptions)
    if not options.cfg_zero:
        if options.zero_steps:
            job.warn("zero_steps has no effect without cfg_zero")
        return state
    if job.plan.request.guidance <= 1:
        job.warn("cfg_zero has no effect: guidance is off")
        return state
    job.apply("cfg_zero", {"zero_steps": options.zero_steps})
    return add_guide(state, lambda inner: partial(scaled, inner, options.zero_steps))


def scaled(inner: Guide, zero_steps: int, rows: "Mapping[str, Tensor]", moment: Moment) -> "Tensor":
    """Guidance from s u instead of u, where s = <c, u> / |u|^2, image by image.

    That is the u of this direction nearest to c. In the first `zero_steps` steps the output is zero.
    """
    cond: Tensor = rows[PROMPT]
    if moment.step <= zero_steps:
        return cond * 0
    if NEGATIVE in rows:
        uncond = rows[NEGATIVE]
        rows = {**rows, NEGATIVE: uncond * nearest_scale(cond, uncond)}
    out: Tensor = inner(rows, moment)
    return out


def nearest_scale(cond: "Tensor", uncond: "Tensor") -> "Tensor":
    """s for each image, (images, 1, 1, 1); 1e-8 keeps it finite where `uncond` is zero."""
    dims = (1, 2, 3)
    product, square = (cond * uncond).sum(dims, keepdim=True), uncond.square().sum(dims, keepdim=True)
    return product / (square + 1e-8)
