"""Predict, look, correct with what was seen: high order at one model call a step."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import expm1, log

from latentry_samplers.steps import Fresh, clean_step, fresh_noise, ignore, latest
from latentry_sdk import Denoise, OnStep, X

Scale = Callable[[float], float]
"""B(h) of UniPC, for a step of h in -log sigma."""

PREDICTED = 3
"""Clean pictures that SA-Solver's predictor goes by; its corrector has one more."""


def uni_pc(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore, order: int = 3
) -> X:
    """UniPC with B(h) = h, predicting clean pictures: arXiv:2302.04867, UniP and UniC."""
    return _uni_pc(denoise, x, sigmas, on_step, order, lambda h: h)


def uni_pc_bh2(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], *, on_step: OnStep[X] = ignore, order: int = 3
) -> X:
    """UniPC with B(h) = 1 - e^-h; it differs where a step goes by two pictures, at the start and the end."""
    return _uni_pc(denoise, x, sigmas, on_step, order, lambda h: -expm1(-h))


def _uni_pc(
    denoise: Denoise[X], x: X, sigmas: Sequence[float], on_step: OnStep[X], order: int, scale: Scale
) -> X:
    start, past = x, list[tuple[float, X]]()  # the last level's corrected picture, and what was seen since
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        if past:
            x = _step(start, [past[0], (now, clean), *past[1:]], now, scale)
        start, past = x, latest((now, clean), past, min(order, len(sigmas) - 1 - i))
        x = clean if nxt == 0 else _step(x, past, nxt, scale)
    return x


def sa_solver(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    tau: float = 1.0,
) -> X:
    """SA-Solver, arXiv:2309.05019 algorithm 1, predicting clean pictures with the same tau at every level.

    The corrector takes the noise of the step it corrects. tau 0 is the ordinary equation, and UniPC's way.
    """
    eta = tau * tau
    start, fresh, past = x, list[X](), list[tuple[float, X]]()  # `fresh` has the last step's noise, if any
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        if past:
            seen = [past[0], (now, clean), *past[1:]]
            x = sum(fresh, _step(start, seen, now, lambda h: (1 + eta) * h, eta))
        if nxt == 0:
            return clean
        start, past = x, latest((now, clean), past, PREDICTED)
        fresh = [noise(now, nxt) * fresh_noise(now, nxt, eta)] if eta > 0 else []
        x = sum(fresh, _step(x, past, nxt, lambda h: (1 + eta) * h, eta))
    return x


def _step(x: X, cleans: Sequence[tuple[float, X]], nxt: float, scale: Scale, eta: float = 0.0) -> X:
    """To `nxt` from the level of the first of `cleans`; `scale` counts where there are two of them."""
    (now, clean), *others = cleans
    if len(others) > 1:
        return clean_step(x, cleans, now, nxt, eta)
    x = clean_step(x, cleans[:1], now, nxt, eta)
    for sigma, other in others:
        step, part = log(now / nxt), log(now / sigma)
        x = x + (other - clean) * (scale(step) * step / part / 2)
    return x
