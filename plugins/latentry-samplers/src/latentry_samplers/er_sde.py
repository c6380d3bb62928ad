"""ER-SDE-Solver: a stochastic equation whose noise falls as a chosen function of sigma says."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, log, sqrt

from latentry_samplers.steps import Fresh, blend, ignore, latest
from latentry_sdk import Denoise, OnStep, X

PARTS = 32
"""Parts of an interval for Simpson's rule, an even number; the integrands are smooth in log sigma."""


def er_sde(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, noise: Fresh[X], on_step: OnStep[X] = ignore
) -> X:
    """ER-SDE-Solver-3 for sigma, arXiv:2309.06169, with the noise scale that the paper recommends.

    The clean picture is expanded in sigma at `now`, with two derivatives from the pictures seen before.
    """
    past: list[tuple[float, X]] = []
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        past = latest((now, clean), past, 3)
        if nxt == 0:
            return clean
        kept = scale(nxt) / scale(now)
        terms = _derivatives(past)
        weights = [1 - kept, *(_weight(power, now, nxt) for power in range(1, len(terms)))]
        fresh = sqrt(max(nxt**2 - (now * kept) ** 2, 0.0))  # below 0 by rounding, where levels are close
        x = x * kept + blend(weights, terms) + noise(now, nxt) * fresh
    return x


def scale(sigma: float) -> float:
    """The noise scale sigma (e^(sigma^0.3) + 10); sigma itself would give the ordinary equation."""
    return sigma * (exp(sigma**0.3) + 10)


def _derivatives(past: Sequence[tuple[float, X]]) -> list[X]:
    """The newest clean picture and, as far as they are known, its two derivatives by differences."""
    levels, cleans = zip(*past, strict=True)
    if len(past) == 1:
        return [cleans[0]]
    slopes = [(a - b) / (s - t) for (s, a), (t, b) in pairwise(past)]
    curves = [(one - two) / ((levels[0] - levels[2]) / 2) for one, two in pairwise(slopes)]
    return [cleans[0], slopes[0], *curves]


def _weight(power: int, now: float, nxt: float) -> float:
    """What a term (sigma - now)^power / power! of the clean picture, of power 1 or 2, adds to a step."""
    drift = _integral(lambda sigma: (sigma - now) ** (power - 1) / scale(sigma), nxt, now)
    return (nxt - now) ** power / power + scale(nxt) * drift


def _integral(f: Callable[[float], float], low: float, high: float) -> float:
    """The integral of f(sigma), by Simpson's rule in log sigma."""
    step = log(high / low) / PARTS
    sigmas = [low * exp(step * part) for part in range(PARTS + 1)]
    heights = [f(sigma) * sigma for sigma in sigmas]
    return step / 3 * (heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2]))
