"""The midpoint method, a sampler of order 2."""

from collections.abc import Sequence
from itertools import pairwise

from latentry_sdk import Denoise, OnStep, SamplerSpec, X, hookimpl


def midpoint(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = lambda *_: None
) -> X:
    """Step along dx/dsigma = (x - x0) / sigma with the slope found halfway."""
    for index, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(index, x, clean)
        if nxt == 0:
            return clean
        middle = (now + nxt) / 2
        halfway = x + (x - clean) / now * (middle - now)
        x = x + (halfway - denoise(halfway, middle)) / middle * (nxt - now)
    return x


@hookimpl
def register_samplers() -> Sequence[SamplerSpec]:
    """One sampler."""
    return (SamplerSpec("midpoint", midpoint, order=2, description="Second order, by the slope halfway"),)
