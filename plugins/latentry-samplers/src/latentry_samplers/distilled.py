"""Samplers for models that were distilled to need few steps: their denoiser jumps to the end of the path."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import sqrt
from operator import mul

from latentry_samplers.steps import Fresh, ignore, towards
from latentry_sdk import Denoise, ModelRange, OnStep, X, sigma_at, timestep_at


def lcm(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, noise: Fresh[X], on_step: OnStep[X] = ignore
) -> X:
    """Multistep consistency sampling, arXiv:2303.01469 algorithm 1: the clean picture, noised to `nxt`."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        x = clean + noise(now, nxt) * nxt if nxt > 0 else clean
    return x


def tcd(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 0.3,
) -> X:
    """Strategic stochastic sampling of TCD models, arXiv:2402.19159; eta is its gamma.

    It steps to the level of timestep (1 - eta) t, where t is that of `nxt`, and then adds noise up to `nxt`.
    Timesteps are those of Stable Diffusion 1, 2 and XL, for which such models are made.
    """
    levels = _stable_diffusion()
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        left = int((1 - eta) * timestep_at(levels, nxt))
        down = nxt if nxt == 0 or eta == 0 else min(nxt, sigma_at(levels, left))
        x = towards(clean, x, now, down)
        if nxt > down:
            x = x + noise(now, nxt) * sqrt(nxt * nxt - down * down)
    return x


def _stable_diffusion() -> ModelRange:
    """Its noise levels: betas evenly spaced in square root from 0.00085 to 0.012."""
    first, last = sqrt(0.00085), sqrt(0.012)
    kept = accumulate((1 - (first + (last - first) * t / 999) ** 2 for t in range(1000)), mul)
    return ModelRange(tuple(sqrt((1 - alpha) / alpha) for alpha in kept))
