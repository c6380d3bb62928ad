"""Samplers that call the model two or three times a step: Runge and Kutta's kind."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

from latentry_samplers.steps import Fresh, ignore, split, towards
from latentry_sdk import Denoise, OnStep, X


def heun(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """Heun's second-order step, arXiv:2206.00364 algorithm 1 without churn."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        guess = towards(clean, x, now, nxt)
        if nxt > 0:
            slope = ((x - clean) / now + (guess - denoise(guess, nxt)) / nxt) / 2
            guess = x + slope * (nxt - now)
        x = guess
    return x


def heunpp2(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """Heun++: the slopes at this level and the two below it, weighted by sigma / (count * first sigma).

    The slope here has the rest of the weight. There is no paper: it is known from the extension
    sd-webui-samplers-scheduler and from ComfyUI. Its weights are no quadrature, so it is of first order.
    """
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        below = [sigma for sigma in sigmas[i + 1 : i + 3] if sigma > 0]
        slope = _slope_below(denoise, x, (x - clean) / now, (now, *below), sigmas[0])
        x = clean if nxt == 0 else x + slope * (nxt - now)
    return x


def _slope_below(denoise: Denoise[X], x: X, slope: X, levels: Sequence[float], first: float) -> X:
    """The weighted slope of `levels`, the first of which has `slope` at x."""
    shares = [sigma / (len(levels) * first) for sigma in levels[1:]]
    total = slope * (1 - sum(shares))
    for (now, nxt), share in zip(pairwise(levels), shares, strict=True):
        x = x + slope * (nxt - now)
        slope = (x - denoise(x, nxt)) / nxt
        total = total + slope * share
    return total


def dpm_2(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """The midpoint method with its middle in log sigma: DPM-Solver-2 of k-diffusion, without churn."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        x = _midpoint(denoise, x, clean, now, nxt)
    return x


def dpm_2_ancestral(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """DPM2's step to below `nxt`, then fresh noise up to it, as k-diffusion's sampler of this name."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        down, up = split(now, nxt, eta)
        x = _midpoint(denoise, x, clean, now, down)
        if up > 0:
            x = x + noise(now, nxt) * up
    return x


def _midpoint(denoise: Denoise[X], x: X, clean: X, now: float, nxt: float) -> X:
    if nxt == 0:
        return clean
    middle = sqrt(now * nxt)
    guess = towards(clean, x, now, middle)
    return x + (guess - denoise(guess, middle)) * ((nxt - now) / middle)


def dpmpp_2s_ancestral(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """DPM-Solver++(2S), arXiv:2211.01095 algorithm 1 with r = 1/2, to below `nxt`; then noise up to it."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        down, up = split(now, nxt, eta)
        if down > 0:
            middle = sqrt(now * down)
            clean = denoise(towards(clean, x, now, middle), middle)
        x = towards(clean, x, now, down)
        if up > 0:
            x = x + noise(now, nxt) * up
    return x
