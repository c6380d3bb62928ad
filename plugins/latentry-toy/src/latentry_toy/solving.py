"""The toy's samplers and noise schedule."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt

from latentry_sdk import Denoise, Field, ModelRange, Number, OnStep, Options, X


class AncestralOptions(Options):
    """How much of each step's noise is fresh."""

    eta: Number = Field(1.0, ge=0, le=1, description="Fresh noise a step; 0 makes it Euler")


def ignore(_index: int, _x: object, _clean: object) -> None:
    """Watch a step and do nothing."""


def toy_euler(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """Euler's method, arXiv:2206.00364."""
    for index, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(index, x, clean)
        x = clean + (x - clean) * (nxt / now)
    return x


def toy_ancestral(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Callable[[float, float], X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """Euler's step to below `nxt`, then fresh noise up to it: arXiv:2006.11239 algorithm 2 in sigma."""
    for index, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(index, x, clean)
        fresh = eta * eta * (1 - (nxt / now) ** 2)  # the share of the variance at nxt
        x = clean + (x - clean) * (nxt * sqrt(1 - fresh) / now)
        if nxt > 0 and fresh > 0:
            x = x + noise(now, nxt) * (nxt * sqrt(fresh))
    return x


def toy_even(steps: int, model_range: ModelRange, /) -> tuple[float, ...]:
    """Levels even in the logarithm from the largest to the smallest, then 0."""
    last = max(steps - 1, 1)
    ratio = model_range.sigma_min / model_range.sigma_max
    return (*(model_range.sigma_max * ratio ** (index / last) for index in range(steps)), 0.0)
