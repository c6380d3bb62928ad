"""The samplers of CFG++ against the paper's algorithm and ComfyUI's formulas, in numpy.

Data is Gaussian with a prompt and without, of another mean and deviation, and guidance is made up of both.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import latentry_samplers

Picture = NDArray[np.float64]
Noise = Callable[[float, float], Picture]

SAMPLERS = {
    spec.name: spec for spec in latentry_samplers.register_samplers() if spec.name.endswith("_cfg_pp")
}
SIGMAS = (*(float(sigma) for sigma in (np.linspace(14.6 ** (1 / 7), 0.03 ** (1 / 7), 12)) ** 7), 0.0)
START = np.random.default_rng(0).standard_normal((2, 40)) * SIGMAS[0]
GUIDANCE = 1.7


def of_gaussian(x: Picture, sigma: float, mean: float, deviation: float) -> Picture:
    return mean + (x - mean) * deviation**2 / (deviation**2 + sigma**2)


def without(x: Picture, sigma: float) -> Picture:
    return of_gaussian(x, sigma, 0.2, 1.0)


def guided(x: Picture, sigma: float) -> Picture:
    free = without(x, sigma)
    return free + GUIDANCE * (of_gaussian(x, sigma, 1.5, 0.4) - free)


def noises() -> Noise:
    random = np.random.default_rng(1)
    return lambda now, nxt: random.standard_normal(START.shape)


def ancestral(now: float, nxt: float) -> tuple[float, float]:
    """Down and up of a step with fresh noise."""
    up = min(nxt, np.sqrt(nxt**2 * (now**2 - nxt**2) / now**2))
    return np.sqrt(nxt**2 - up**2), up


def euler_cfg_pp(x: Picture, noise: Noise) -> Iterator[Picture]:
    """The paper's own variables: x = sqrt(a) x0 + sqrt(1 - a) eps, with a = 1 / (1 + sigma^2)."""
    scaled = x / np.sqrt(1 + SIGMAS[0] ** 2)
    for now, nxt in pairwise(SIGMAS):
        a, below = 1 / (1 + now**2), 1 / (1 + nxt**2)
        at = scaled / np.sqrt(a)
        eps, eps_guided = ((scaled - np.sqrt(a) * see(at, now)) / np.sqrt(1 - a) for see in (without, guided))
        clean = (scaled - np.sqrt(1 - a) * eps_guided) / np.sqrt(a)
        scaled = np.sqrt(below) * clean + np.sqrt(1 - below) * eps
        yield scaled / np.sqrt(below)


def euler_ancestral_cfg_pp(x: Picture, noise: Noise) -> Iterator[Picture]:
    for now, nxt in pairwise(SIGMAS):
        down, up = ancestral(now, nxt)
        x = guided(x, now) + down * (x - without(x, now)) / now
        x = x + up * noise(now, nxt) if nxt > 0 else x
        yield x


def dpmpp_2s_ancestral_cfg_pp(x: Picture, noise: Noise) -> Iterator[Picture]:
    for now, nxt in pairwise(SIGMAS):
        if nxt == 0:
            yield guided(x, now)
            return
        down, up = ancestral(now, nxt)
        h = np.log(now / down)
        vector = guided(x, now) - without(x, now)
        between = np.exp(-h / 2) * x - np.expm1(-h / 2) * without(x, now)
        x = np.exp(-h) * x - np.expm1(-h) * without(between, now * np.exp(-h / 2))
        x = x + up * noise(now, nxt) + vector
        yield x


def dpmpp_2m_cfg_pp(x: Picture, noise: Noise) -> Iterator[Picture]:
    before: Any = None
    for i, (now, nxt) in enumerate(pairwise(SIGMAS)):
        clean, free = guided(x, now), without(x, now)
        if nxt == 0:
            yield clean
            return
        h = np.log(now / nxt)
        mixed = -np.exp(-h) * free
        if before is not None:
            r = np.log(SIGMAS[i - 1] / now) / h
            mixed = mixed - np.expm1(-h) / (2 * r) * (clean - before)
        x = clean + mixed + np.exp(-h) * x
        before = free
        yield x


def res_multistep_cfg_pp(x: Picture, noise: Noise) -> Iterator[Picture]:
    before: Any = None
    for i, (now, nxt) in enumerate(pairwise(SIGMAS)):
        clean, free = guided(x, now), without(x, now)
        if before is None or nxt == 0:
            x = clean + (x - free) / now * nxt
        else:
            h = np.log(now / nxt)
            c = -np.log(SIGMAS[i - 1] / now) / h
            one = -np.expm1(-h) / h
            two = (1 - one) / h
            x = np.exp(-h) * (x + clean - free) + h * ((one - two / c) * free + two / c * before)
        before = free
        yield x


def gradient_estimation_cfg_pp(x: Picture, noise: Noise) -> Iterator[Picture]:
    before = None
    for now, nxt in pairwise(SIGMAS):
        slope = (x - without(x, now)) / now
        change = 0 if before is None or nxt == 0 else slope - before
        x = guided(x, now) + slope * nxt + change * (nxt - now)
        before = slope
        yield x


FORMULAS = (
    euler_cfg_pp,
    euler_ancestral_cfg_pp,
    dpmpp_2s_ancestral_cfg_pp,
    dpmpp_2m_cfg_pp,
    res_multistep_cfg_pp,
    gradient_estimation_cfg_pp,
)


def test_every_sampler_has_its_formula() -> None:
    assert {formula.__name__ for formula in FORMULAS} == set(SAMPLERS)
    assert all(spec.unguided for spec in SAMPLERS.values())


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_sampler_walks_as_its_formula(formula: Callable[..., Iterator[Picture]], measured: Any) -> None:
    spec, ours = SAMPLERS[formula.__name__], list[Picture]()
    given: dict[str, Any] = {"noise": noises()} if spec.stochastic else {}

    def watch(index: int, x: Picture, clean: Picture) -> None:
        ours.append(x)

    end = spec.sample(guided, START, SIGMAS, unguided=without, on_step=watch, **given)
    theirs = list(formula(START, noises()))
    assert len(theirs) == len(SIGMAS) - 1
    pairs = zip([*ours[1:], end], theirs, strict=True)
    measured.check(spec.name, "formula", max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs))


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_way_depends_on_what_is_seen_without_the_prompt(name: str) -> None:
    spec = SAMPLERS[name]
    given: list[dict[str, Any]] = [{"noise": noises()} if spec.stochastic else {} for _ in range(2)]
    one = spec.sample(guided, START, SIGMAS, unguided=without, **given[0])
    other = spec.sample(guided, START, SIGMAS, unguided=guided, **given[1])
    assert np.abs(one - other).max() > 0.1
