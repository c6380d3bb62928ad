"""Samplers that remember: one model call a step, and a polynomial through what earlier ones saw."""

from collections.abc import Sequence
from itertools import pairwise
from math import log

from latentry_samplers.steps import (
    Fresh,
    blend,
    clean_step,
    ignore,
    latest,
    log_slope_step,
    slope_step,
    split,
    towards,
)
from latentry_sdk import Denoise, OnStep, X

BASHFORTH = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Adams and Bashforth's weights for equal steps, the newest slope first."""


def lms(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore, order: int = 4
) -> X:
    """The linear multistep method: Adams and Bashforth's in sigma, for steps of any size (k-diffusion)."""
    past: list[tuple[float, X]] = []
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        past = latest((now, (x - clean) / now), past, order)
        x = clean if nxt == 0 else slope_step(x, past, now, nxt)
    return x


def ipndm(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """iPNDM, arXiv:2204.13902: Adams and Bashforth's weights for equal steps, whatever the steps are."""
    past: list[X] = []
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        past = latest((x - clean) / now, past, len(BASHFORTH))
        x = clean if nxt == 0 else x + blend(BASHFORTH[len(past) - 1], past) * (nxt - now)
    return x


def ipndm_v(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """iPNDM with the weights for the steps as they are, which makes it the linear multistep method."""
    return lms(denoise, x, sigmas, on_step=on_step)


def deis(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore, order: int = 3
) -> X:
    """DEIS, arXiv:2204.13902, with the slopes' polynomial in log sigma (diffusers' "logrho")."""
    past: list[tuple[float, X]] = []
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        past = latest((now, (x - clean) / now), past, order)
        x = clean if nxt == 0 else log_slope_step(x, past, now, nxt)
    return x


def dpm_fast(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """DPM-Solver-fast, arXiv:2206.00927, over the given levels: three of them are one third-order step.

    The two levels inside a step are the schedule's, and what is left over in the end is a step of second or
    first order. The slopes of a step lie on a polynomial in log sigma.
    """
    start, top, past = x, sigmas[0], list[tuple[float, X]]()
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        if i % 3 == 0:
            start, top, past = x, now, []
        past = latest((now, (x - clean) / now), past, 3)
        x = clean if nxt == 0 else log_slope_step(start, past, top, nxt)
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
        x = towards(target, x, now, nxt)
        older = now, clean
    return x


def res_multistep(denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore) -> X:
    """The refined exponential solver with one remembered picture, arXiv:2308.02157."""
    past: list[tuple[float, X]] = []
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        past = latest((now, clean), past, 2)
        x = clean if nxt == 0 else clean_step(x, past, now, nxt)
    return x


def res_multistep_ancestral(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """That solver's step to below `nxt`, then fresh noise up to it; eta 0 is `res_multistep`.

    The way from the remembered picture to this one counts as long as that whole step down was, since the
    noise after it led back up. That makes the samples' spread second order (ComfyUI's sampler of this name).
    """
    past: list[tuple[float, X]] = []  # the last clean picture, and the level it counts for
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        down, up = split(now, nxt, eta)
        if nxt == 0:
            return clean
        x = clean_step(x, [(now, clean), *past], now, down)
        if up > 0:
            x = x + noise(now, nxt) * up
        past = [(nxt * now / down, clean)]
    return x
