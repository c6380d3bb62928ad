"""Samplers that diffusers lacks, or has without fresh noise, against formulas in numpy and scipy."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad

import latentry_samplers

Picture = NDArray[np.float64]
Noise = Callable[[float, float], Picture]

SAMPLERS = {spec.name: spec for spec in latentry_samplers.register_samplers()}
SIGMAS = (*(float(sigma) for sigma in (np.linspace(14.6 ** (1 / 7), 0.03 ** (1 / 7), 12)) ** 7), 0.0)
START = np.random.default_rng(0).standard_normal((2, 40)) * SIGMAS[0]


def denoise(x: Picture, sigma: float) -> Picture:
    """E[x0 | x] for values around -1 and 1."""
    variance = 0.25 + sigma**2
    return (x * 0.25 + np.tanh(x / variance) * sigma**2) / variance


def noises() -> Noise:
    random = np.random.default_rng(1)
    return lambda now, nxt: random.standard_normal(START.shape)


def split(now: float, nxt: float) -> tuple[float, float]:
    """Down and up of an ancestral step."""
    up = min(nxt, np.sqrt(nxt**2 * (now**2 - nxt**2) / now**2))
    return np.sqrt(nxt**2 - up**2), up


def heunpp2(x: Picture, noise: Noise) -> Iterator[Picture]:
    for i in range(len(SIGMAS) - 1):
        levels = [sigma for sigma in SIGMAS[i : i + 3] if sigma > 0]
        if i == len(SIGMAS) - 2:
            yield denoise(x, SIGMAS[i])
            return
        slopes, at = [], x
        for level, below in zip(levels, [*levels[1:], 0.0], strict=True):
            slopes.append((at - denoise(at, level)) / level)
            at = at + slopes[-1] * (below - level)
        weights = np.array(levels) / (len(levels) * SIGMAS[0])
        weights[0] = 1 - weights[1:].sum()
        x = x + sum(w * slope for w, slope in zip(weights, slopes, strict=True)) * (SIGMAS[i + 1] - SIGMAS[i])
        yield x


def gradient_estimation(x: Picture, noise: Noise) -> Iterator[Picture]:
    before = None
    for now, nxt in pairwise(SIGMAS):
        slope = (x - denoise(x, now)) / now
        change = 0 if before is None or nxt == 0 else slope - before
        x = x + (slope + change) * (nxt - now)
        before = slope
        yield x


def dpmpp_2s_ancestral(x: Picture, noise: Noise) -> Iterator[Picture]:
    for now, nxt in pairwise(SIGMAS):
        if nxt == 0:
            yield denoise(x, now)
            return
        down, up = split(now, nxt)
        h = np.log(now / down)
        middle = now * np.exp(-h / 2)
        between = np.exp(-h / 2) * x - np.expm1(-h / 2) * denoise(x, now)
        x = np.exp(-h) * x - np.expm1(-h) * denoise(between, middle) + up * noise(now, nxt)
        yield x


def res_multistep_ancestral(x: Picture, noise: Noise) -> Iterator[Picture]:
    before: Any = None
    for i, (now, nxt) in enumerate(pairwise(SIGMAS)):
        clean = denoise(x, now)
        if nxt == 0:
            yield clean
            return
        down, up = split(now, nxt)
        h = np.log(now / down)
        one = -np.expm1(-h) / h
        two = (1 - one) / h
        if before is None:
            x = np.exp(-h) * x + h * one * clean
        else:
            older, went = before
            c = np.log(went / SIGMAS[i - 1]) / h
            x = np.exp(-h) * x + h * ((one - two / c) * clean + two / c * older)
        x = x + up * noise(now, nxt)
        before = clean, down
        yield x


def dpmpp_3m_sde(x: Picture, noise: Noise) -> Iterator[Picture]:
    cleans: list[Picture] = []
    for i, (now, nxt) in enumerate(pairwise(SIGMAS)):
        cleans = [denoise(x, now), *cleans][:3]
        if nxt == 0:
            yield cleans[0]
            return
        h = np.log(now / nxt)
        both = 2 * h
        x = np.exp(-both) * x - np.expm1(-both) * cleans[0]
        second = np.expm1(-both) / both + 1
        ratios = [np.log(SIGMAS[i - k - 1] / SIGMAS[i - k]) / h for k in range(len(cleans) - 1)]
        slopes = [(a - b) / r for (a, b), r in zip(pairwise(cleans), ratios, strict=True)]
        if len(slopes) == 1:
            x = x + second * slopes[0]
        if len(slopes) == 2:
            bend = (slopes[0] - slopes[1]) / sum(ratios)
            x = x + second * (slopes[0] + bend * ratios[0]) - (second / both - 0.5) * bend
        x = x + nxt * np.sqrt(-np.expm1(-both)) * noise(now, nxt)
        yield x


def er_sde(x: Picture, noise: Noise) -> Iterator[Picture]:
    def scale(sigma: float) -> float:
        return float(sigma * (np.exp(sigma**0.3) + 10))

    cleans: list[Picture] = []
    slopes: list[Picture] = []
    for i, (now, nxt) in enumerate(pairwise(SIGMAS)):
        cleans = [denoise(x, now), *cleans]
        if nxt == 0:
            yield cleans[0]
            return
        kept = scale(nxt) / scale(now)
        x = kept * x + (1 - kept) * cleans[0]
        if i > 0:
            slopes = [(cleans[0] - cleans[1]) / (now - SIGMAS[i - 1]), *slopes]
            drift = quad(lambda s: 1 / scale(s), nxt, now, epsabs=0, epsrel=1e-12)[0]
            x = x + (nxt - now + scale(nxt) * drift) * slopes[0]
        if i > 1:
            bend = (slopes[0] - slopes[1]) / ((now - SIGMAS[i - 2]) / 2)
            drift = quad(lambda s, now=now: (s - now) / scale(s), nxt, now, epsabs=0, epsrel=1e-12)[0]
            x = x + ((nxt - now) ** 2 / 2 + scale(nxt) * drift) * bend
        x = x + np.sqrt(nxt**2 - (now * kept) ** 2) * noise(now, nxt)
        yield x


FORMULAS = (heunpp2, gradient_estimation, dpmpp_2s_ancestral, res_multistep_ancestral, dpmpp_3m_sde, er_sde)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_sampler_walks_as_its_formula(formula: Callable[..., Iterator[Picture]], measured: Any) -> None:
    spec, ours = SAMPLERS[formula.__name__], list[Picture]()
    given: dict[str, Any] = {"noise": noises()} if spec.stochastic else {}

    def watch(index: int, x: Picture, clean: Picture) -> None:
        ours.append(x)

    end = spec.sample(denoise, START, SIGMAS, on_step=watch, **given)
    theirs = list(formula(START, noises()))
    assert len(theirs) == len(SIGMAS) - 1
    pairs = zip([*ours[1:], end], theirs, strict=True)
    measured.check(spec.name, "formula", max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs))


def test_the_table_has_these_formulas(measured: Any) -> None:
    listed = {sampler for sampler, reference in measured.rows() if reference == "formula"}
    elsewhere = {"dpm_adaptive", *(name for name in SAMPLERS if name.endswith("_cfg_pp"))}
    assert listed == {formula.__name__ for formula in FORMULAS} | elsewhere
