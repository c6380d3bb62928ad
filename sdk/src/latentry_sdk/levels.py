"""Between training timesteps and noise levels, in both directions."""

from bisect import bisect_left
from math import log

from latentry.types import ModelRange


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
