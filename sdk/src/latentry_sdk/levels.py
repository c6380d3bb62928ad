"""From training timesteps to noise levels and back, and levels down to zero terminal SNR."""

from bisect import bisect_left
from dataclasses import dataclass
from math import log, sqrt

from latentry.errors import InvalidRequest
from latentry.plan import Plan
from latentry.types import ModelRange

SMALLEST = 2.0**-24
"""diffusers' last alpha product for zero terminal SNR, in the place of 0: its level would be infinite."""


@dataclass(frozen=True)
class ZeroSnr(ModelRange):
    """Levels down to zero terminal SNR, and the `plain` ones that they were made of."""

    plain: tuple[float, ...] = ()


def sigma_at(levels: ModelRange, timestep: float) -> float:
    """The noise level at a fractional timestep, clamped at the ends.

    Between trained ones it is linear in the logarithm, or in the level itself for "flow".
    """
    t = min(max(timestep, 0.0), len(levels.sigmas) - 1.0)
    low = min(int(t), len(levels.sigmas) - 2)
    part, below, above = t - low, levels.sigmas[low], levels.sigmas[low + 1]
    if levels.space == "flow":
        return (1 - part) * below + part * above
    return float(below ** (1 - part) * above**part)


def timestep_at(levels: ModelRange, sigma: float) -> float:
    """The fractional timestep of a noise level: the inverse of `sigma_at`."""
    high = bisect_left(levels.sigmas, sigma)
    if high in (0, len(levels.sigmas)):
        return float(max(high - 1, 0))
    below, above = levels.sigmas[high - 1], levels.sigmas[high]
    if levels.space == "flow":
        return high - 1 + (sigma - below) / (above - below)
    return high - 1 + log(sigma / below) / log(above / below)


def zero_terminal(levels: ModelRange) -> ZeroSnr:
    """The levels of a model that is trained down to noise alone: arXiv:2305.08891 algorithm 1.

    The roots of the alpha products, sqrt(a) = 1 / sqrt(1 + sigma^2), are stretched so that the first stays
    and the last is 0, or almost: a is `SMALLEST`. Raises `InvalidRequest` for a flow model, which ends in
    noise alone anyway.
    """
    if levels.space == "flow":
        raise InvalidRequest(
            "a flow model's levels cannot be changed to zero terminal SNR", fix="leave it out"
        )
    roots = [1 / sqrt(1 + sigma * sigma) for sigma in levels.sigmas]
    first, last = roots[0], roots[-1]
    alphas = (max(((root - last) * first / (first - last)) ** 2, SMALLEST) for root in roots)
    return ZeroSnr(tuple(sqrt((1 - alpha) / alpha) for alpha in alphas), levels.space, levels.sigmas)


def with_zero_snr(levels: ModelRange, wanted: bool | None) -> ModelRange:
    """The levels with zero terminal SNR or without it, whatever the checkpoint says; as they are for None."""
    plain = ModelRange(levels.plain, levels.space) if isinstance(levels, ZeroSnr) else levels
    return levels if wanted is None else zero_terminal(plain) if wanted else plain


def levels_of(plan: Plan) -> ModelRange:
    """The model's noise levels as the plan's scheduler takes them, by its option `zero_snr` if it has one."""
    options = plan.options_for(plan.scheduler)
    return with_zero_snr(plan.detected.model_range, getattr(options, "zero_snr", None))
