"""CFG++, arXiv:2406.08070: a step goes to the guided picture along the noise of the unguided one.

x' = x0 + sigma' n, where x0 is seen with guidance and n = (x - u0) / sigma without. The paper has this for
DDIM, which is Euler's step, and its guidance is 1 at most; the names and the forms of higher order are
ComfyUI's. Where u0 = x0, each is the sampler without `_cfg_pp`.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt

from latentry_samplers.steps import Fresh, clean_step, ignore, split, towards
from latentry_sdk import Denoise, OnStep, X


def euler_cfg_pp(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, unguided: Denoise[X], on_step: OnStep[X] = ignore
) -> X:
    """Algorithm 2 of the paper, in sigma: DDIM without fresh noise."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean, free = denoise(x, now), unguided(x, now)
        on_step(i, x, clean)
        x = _renoised(clean, free, x, now, nxt)
    return x


def euler_ancestral_cfg_pp(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    unguided: Denoise[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """The same to below `nxt`, then fresh noise up to it."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean, free = denoise(x, now), unguided(x, now)
        on_step(i, x, clean)
        down, up = split(now, nxt, eta)
        x = _renoised(clean, free, x, now, down)
        if up > 0:
            x = x + noise(now, nxt) * up
    return x


def _renoised(clean: X, free: X, x: X, now: float, nxt: float) -> X:
    return clean + (x - free) * (nxt / now)


def dpmpp_2s_ancestral_cfg_pp(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    unguided: Denoise[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """DPM-Solver++(2S) on unguided pictures; then x0 - u0, as seen at the step's start, is added."""
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean, free = denoise(x, now), unguided(x, now)
        on_step(i, x, clean)
        down, up = split(now, nxt, eta)
        halfway = free
        if down > 0:
            middle = sqrt(now * down)
            halfway = unguided(towards(free, x, now, middle), middle)
        x = towards(halfway, x, now, down) + (clean - free) if down > 0 else clean
        if up > 0:
            x = x + noise(now, nxt) * up
    return x


def dpmpp_2m_cfg_pp(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, unguided: Denoise[X], on_step: OnStep[X] = ignore
) -> X:
    """DPM-Solver++(2M), whose way to the picture seen now starts from the unguided one seen before."""
    older: tuple[float, X] | None = None  # the level before `now`, and the unguided picture seen there
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean, free = denoise(x, now), unguided(x, now)
        on_step(i, x, clean)
        x = _renoised(clean, free, x, now, nxt)
        if older is not None and nxt > 0:
            ratio = log(now / nxt) / log(older[0] / now)
            x = x + (clean - older[1]) * ((1 - nxt / now) * ratio / 2)
        older = now, free
    return x


def res_multistep_cfg_pp(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, unguided: Denoise[X], on_step: OnStep[X] = ignore
) -> X:
    """The refined exponential solver on unguided pictures, from x + x0 - u0; the first step is Euler's."""
    past: list[tuple[float, X]] = []
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean, free = denoise(x, now), unguided(x, now)
        on_step(i, x, clean)
        if past and nxt > 0:
            x = clean_step(x + (clean - free), [(now, free), *past], now, nxt)
        else:
            x = _renoised(clean, free, x, now, nxt)
        past = [(now, free)]
    return x


def gradient_estimation_cfg_pp(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    unguided: Denoise[X],
    on_step: OnStep[X] = ignore,
    gamma: float = 2.0,
) -> X:
    """That step, and (gamma - 1) times the change of the unguided slope, arXiv:2306.04848 algorithm 2."""
    before: X | None = None
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean, free = denoise(x, now), unguided(x, now)
        on_step(i, x, clean)
        slope = (x - free) / now
        x = _renoised(clean, free, x, now, nxt)
        if before is not None and nxt > 0:
            x = x + (slope - before) * ((gamma - 1) * (nxt - now))
        before = slope
    return x
