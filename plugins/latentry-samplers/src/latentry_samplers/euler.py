"""Samplers of first order: one model call a step."""

from collections.abc import Sequence
from itertools import pairwise

from latentry_samplers.steps import Fresh, ignore, split, towards
from latentry_sdk import Denoise, OnStep, X


def euler(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """Euler's first-order step along dx/dsigma = (x - x0) / sigma, arXiv:2206.00364 equation 1 with s = 1."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        x = towards(clean, x, now, nxt)
    return x


def euler_ancestral(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """Euler's step to below `nxt`, then fresh noise up to it: arXiv:2006.11239 algorithm 2 in sigma."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        down, up = split(now, nxt, eta)
        x = towards(clean, x, now, down)
        if up > 0:
            x = x + noise(now, nxt) * up
    return x


def ddim(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 0.0,
) -> X:
    """DDIM, arXiv:2010.02502 equation 12, with the fresh noise of equation 16.

    With x scaled by 1 / sqrt(alpha) and sigma^2 = (1 - alpha) / alpha these are the ancestral step; what sets
    DDIM apart is that its eta is 0 unless asked for.
    """
    return euler_ancestral(denoise, x, sigmas, noise=noise, on_step=on_step, eta=eta)


def ddpm(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, noise: Fresh[X], on_step: OnStep[X] = ignore
) -> X:
    """DDPM, arXiv:2006.11239 algorithm 2 with the variance of equation 7: the ancestral step with eta 1."""
    return euler_ancestral(denoise, x, sigmas, noise=noise, on_step=on_step, eta=1.0)


def gradient_estimation(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore, gamma: float = 2.0
) -> X:
    """Euler's step along gamma slope + (1 - gamma) previous slope, arXiv:2306.04848 algorithm 2.

    gamma 1 is Euler's method, 1.5 would be Adams' of second order for equal steps.
    """
    before: X | None = None
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        slope = (x - clean) / now
        if before is None or nxt == 0:
            x = towards(clean, x, now, nxt)
        else:
            x = x + (slope * gamma + before * (1 - gamma)) * (nxt - now)
        before = slope
    return x
