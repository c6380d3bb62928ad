"""Samplers of stochastic equations: what a step takes away of the noise, fresh noise replaces in part."""

from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt

from latentry_samplers.steps import Fresh, clean_step, fresh_noise, ignore, latest, split, towards
from latentry_sdk import Denoise, OnStep, X


def dpmpp_sde(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """DPM-Solver++(2S) for the stochastic equation, as k-diffusion's sampler of this name with r = 1/2.

    An ancestral step to the middle in log sigma, then one from the start with what is seen there. The noise
    of both is of one path, which is what makes it second order.
    """
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        if nxt > 0:
            middle = sqrt(now * nxt)
            clean = denoise(_ancestral(x, clean, now, middle, noise, eta), middle)
        x = _ancestral(x, clean, now, nxt, noise, eta)
    return x


def _ancestral(x: X, clean: X, now: float, nxt: float, noise: Fresh[X], eta: float) -> X:
    down, up = split(now, nxt, eta)
    x = towards(clean, x, now, down)
    return x + noise(now, nxt) * up if up > 0 else x


def dpmpp_2m_sde(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
    variant: str = "midpoint",
) -> X:
    """SDE-DPM-Solver++(2M), arXiv:2211.01095, for eta 1; eta 0 is DPM-Solver++(2M).

    `variant` says how the change of the clean picture is integrated: "heun" exactly for a straight line,
    "midpoint" with its value at half the step.
    """
    past: list[tuple[float, X]] = []
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        past = latest((now, clean), past, 2)
        if nxt == 0:
            x = clean
        elif variant == "heun":
            x = clean_step(x, past, now, nxt, eta)
        else:
            x = clean_step(x, [(now, _halfway(past, nxt))], now, nxt, eta)
        x = _stirred(x, now, nxt, noise, eta)
    return x


def dpmpp_2m_sde_heun(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """`dpmpp_2m_sde` in its variant "heun"."""
    return dpmpp_2m_sde(denoise, x, sigmas, noise=noise, on_step=on_step, eta=eta, variant="heun")


def _halfway(cleans: Sequence[tuple[float, X]], nxt: float) -> X:
    """The clean picture half a step ahead in log sigma, on the line through the two seen last."""
    (now, clean), *older = cleans
    for sigma, before in older:
        clean = clean + (clean - before) * (log(now / nxt) / log(sigma / now) / 2)
    return clean


def _stirred(x: X, now: float, nxt: float, noise: Fresh[X], eta: float) -> X:
    """With the fresh noise of a step to `nxt`."""
    return x + noise(now, nxt) * fresh_noise(now, nxt, eta) if eta > 0 and nxt > 0 else x


def dpmpp_3m_sde(
    denoise: Denoise[X],
    x: X,
    sigmas: Sequence[float],
    *,
    noise: Fresh[X],
    on_step: OnStep[X] = ignore,
    eta: float = 1.0,
) -> X:
    """DPM-Solver++ with two remembered pictures for the stochastic equation, as k-diffusion's of this name.

    It is DPM-Solver++(3M) of the authors' code for eta 0, in which the curvature has half the weight
    that a parabola through the three pictures would give it.
    """
    past: list[tuple[float, X]] = []
    for i, (now, nxt) in enumerate(pairwise(sigmas)):
        clean = denoise(x, now)
        on_step(i, x, clean)
        past = latest((now, clean), past, 3)
        x = clean if nxt == 0 else _half_curved(x, past, nxt, eta)
        x = _stirred(x, now, nxt, noise, eta)
    return x


def _half_curved(x: X, cleans: Sequence[tuple[float, X]], nxt: float, eta: float) -> X:
    """The mean of a step along the parabola through `cleans` and one along its tangent at the newest."""
    (now, clean), *older = cleans
    curved = clean_step(x, cleans, now, nxt, eta)
    nodes = [log(now / level) for level, _ in older]
    if len({*nodes}) < 2:  # also where rounding has made two equal
        return curved
    (sigma, one), (_, two) = older
    near, far = nodes
    bend = ((one - clean) / near - (two - clean) / far) / (near - far)
    tangent = [(now, clean), (sigma, one - bend * (near * near))]
    return (curved + clean_step(x, tangent, now, nxt, eta)) / 2
