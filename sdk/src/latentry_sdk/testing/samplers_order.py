"""A measurement of a sampler's order of accuracy, on problems whose exact answers are known."""

from collections.abc import Sequence
from math import inf, log2, sqrt
from statistics import NormalDist

from latentry_sdk import SamplerSpec
from latentry_sdk.testing.problems import Gaussian, Mixture
from latentry_sdk.testing.row import Row
from latentry_sdk.testing.samplers_run import Draws, levels, sample

STEPS = 84
"""Can be halved and grouped by threes, for samplers that take levels in groups."""

STARTS = {"ve": (10.0,), "flow": (1.0, 0.8)}
"""Highest levels, by space: at 1 a flow's picture is noise alone, so its first step is the easiest."""

EXACT = 1e-12
DEVIATIONS = (1.0, 2.0)
"""Of the data: on a single problem, errors of a method may cancel by chance."""


def measured_order(spec: SamplerSpec, space: str) -> float:
    """The exponent of the step size in the largest error on several problems; infinite if there is none."""
    coarse, fine = _error(spec, space, STEPS), _error(spec, space, 2 * STEPS)
    return inf if fine < EXACT else log2(coarse / fine)


def _error(spec: SamplerSpec, space: str, steps: int) -> float:
    problems = [Gaussian(space, deviation=deviation) for deviation in DEVIATIONS]
    schedules = [levels(space, steps, high=high) for high in STARTS[space]]
    errors = [_spread_error(spec, problem, sigmas) for problem in problems for sigmas in schedules]
    if not Draws(spec, levels(space, 3)).count:
        errors += [_path_error(spec, space, sigmas) for sigmas in schedules]
    return max(errors)


def _spread_error(spec: SamplerSpec, problem: Gaussian, sigmas: Sequence[float]) -> float:
    """How far the mean and deviation of all samples together are from the exact ones, for Gaussian data.

    The denoiser is linear, so a sample is a sum of its start and each piece of noise, with fixed weights.
    Sampling a row whose every number has another one of them set to 1 finds all weights at once, and no
    chance is involved.
    """
    start, draws = problem.noisy(sigmas[0]), Draws(spec, sigmas)
    pieces = [Row.of(float(i == piece + 2) for i in range(draws.count + 2)) for piece in range(draws.count)]
    x = Row.of([start.mean, start.mean + start.stdev, *[start.mean] * draws.count])
    mean, *moved = sample(spec, problem.denoise, x, sigmas, noise=draws.of(pieces)).values
    exact = _end(problem, sigmas[-2])
    deviation = sqrt(sum((value - mean) ** 2 for value in moved))
    return abs(float(mean) - exact.mean) + abs(deviation - exact.stdev)


def _end(problem: Gaussian, last: float) -> NormalDist:
    """The distribution of the clean picture that an exact solution gives in its step from `last` to 0."""
    noisy = problem.noisy(last)
    mean, above = problem.denoise(noisy.mean, last), problem.denoise(noisy.mean + noisy.stdev, last)
    return NormalDist(mean, above - mean)


def _path_error(spec: SamplerSpec, space: str, sigmas: Sequence[float]) -> float:
    """The largest distance from the exact solution, from several starts, for data of two kinds."""
    problem = Mixture((Gaussian(space, -1.0, 0.5), Gaussian(space, 1.5, 0.7)))

    def error(start: float) -> float:
        exact = problem.denoise(problem.move(start, sigmas[0], sigmas[-2]), sigmas[-2])
        found: float = sample(spec, problem.denoise, start, sigmas, noise=lambda *_: 0.0)
        return abs(found - exact)

    return max(error(part * sigmas[0]) for part in (-1.2, -0.5, -0.1, 0.2, 0.6, 1.1))
