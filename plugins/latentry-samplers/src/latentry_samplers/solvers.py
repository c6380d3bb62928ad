"""The solvers: each goes down the noise levels `sigmas`, asking `denoise` for the clean picture.

They use nothing but + - * / on the picture, so floats, numpy and torch do alike. Where a step ends in
sigma 0 the result is the clean picture itself, not one that differs by rounding.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log, sqrt

from latentry_sdk import Denoise, OnStep, X


def ignore(index: int, x: object, clean: object) -> None:
    """Watch a step and do nothing."""


def euler(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """Euler's first-order step along dx/dsigma = (x - x0) / sigma, arXiv:2206.00364 equation 1 with s = 1."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        x = clean + (x - clean) * (nxt / now)
    return x


def euler_ancestral(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Callable[[float, float], X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """Euler's step to below `nxt`, then fresh noise up to it: arXiv:2006.11239 algorithm 2 in sigma.

    up^2 = eta^2 nxt^2 (1 - nxt^2 / now^2) and down^2 = nxt^2 - up^2, as k-diffusion's `get_ancestral_step`.
    """
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        fresh = eta * eta * (1 - (nxt / now) ** 2)  # the share of the variance at nxt
        x = clean + (x - clean) * (nxt * sqrt(1 - fresh) / now)
        if nxt > 0 and fresh > 0:
            x = x + noise(now, nxt) * (nxt * sqrt(fresh))
    return x


def heun(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """Heun's second-order step, arXiv:2206.00364 algorithm 1 without churn."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        slope = (x - clean) / now
        guess = clean + slope * nxt
        if nxt > 0:
            slope = (slope + (guess - denoise(guess, nxt)) / nxt) / 2
            guess = x + slope * (nxt - now)
        x = guess
    return x


def dpmpp_2m(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """DPM-Solver++(2M), arXiv:2211.01095 algorithm 2, lambda = -log sigma; a step to 0 is first order."""
    older: tuple[float, X] | None = None  # the level before `now`, and the clean picture seen there
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        target = clean
        if older is not None and nxt > 0:
            ratio = log(now / nxt) / log(older[0] / now)
            target = clean + (clean - older[1]) * (ratio / 2)
        x = target + (x - target) * (nxt / now)
        older = now, clean
    return x


def ddim(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Callable[[float, float], X],
    on_step: OnStep[X] = ignore,
    eta: float = 0.0,
) -> X:
    """DDIM, arXiv:2010.02502 equation 12, with the fresh noise of equation 16.

    With x scaled by 1 / sqrt(alpha) and sigma^2 = (1 - alpha) / alpha these are the ancestral step; what sets
    DDIM apart is that its eta is 0 unless asked for.
    """
    return euler_ancestral(denoise, x, sigmas, noise=noise, on_step=on_step, eta=eta)
