"""What a sampler must do, and a measurement of how well it does it."""

from collections.abc import Callable, Sequence
from itertools import count
from math import inf, log2, sqrt
from random import Random
from statistics import NormalDist, fmean, pstdev
from typing import Any

import pytest

from latentry_sdk import SamplerSpec
from latentry_sdk.testing.problems import Gaussian, Mixture
from latentry_sdk.testing.row import Row

RANGE = {"ve": (10.0, 0.4), "flow": (1.0, 0.1)}
"""The highest and lowest level used, by space; a step to 0 follows."""

STEPS = 80
EXACT = 1e-12
NEAR = 0.35

Draw = Callable[[float, float], Any]


class SamplerConformance:
    """Subclass this and override the fixture `spec`, with `params` to test several samplers."""

    @pytest.fixture
    def spec(self) -> SamplerSpec:
        """The sampler under test."""
        raise NotImplementedError("override the fixture `spec`")

    def test_its_order_of_accuracy_is_as_claimed(self, spec: SamplerSpec) -> None:
        """Half the step makes the error 2^order smaller: no less, and no more either."""
        for space in sorted(spec.spaces):
            order, name = measured_order(spec, space), f"{spec.name} in {space}"
            assert abs(order - spec.order) < NEAR, f"{name} claims {spec.order}, has {order:.2f}"

    def test_samples_spread_as_the_data_does(self, spec: SamplerSpec) -> None:
        """Many samples have the mean and deviation of the data, within chance and the error of 60 steps."""
        for space in sorted(spec.spaces):
            problem, sigmas, random = Gaussian(space, 0.3, 0.5), _levels(space, 60, low=0.01), Random(0)
            many, start = 4000, problem.noisy(sigmas[0])

            def draw(*_: float, random: Random = random, many: int = many) -> Row:
                return Row.of(random.gauss() for _ in range(many))

            x = draw() * start.stdev + start.mean
            ends = sample(spec, problem.denoise, x, sigmas, noise=draw).values
            chance = 5 * problem.deviation / sqrt(many)
            assert abs(fmean(ends) - problem.mean) < chance + 0.05 * problem.deviation
            assert abs(pstdev(ends) - problem.deviation) < chance + 0.05 * problem.deviation

    def test_floats_and_arrays_give_the_same(self, spec: SamplerSpec) -> None:
        """An array is sampled as its elements are, with nothing but + - * / and not in place."""
        for space in sorted(spec.spaces):
            problem, sigmas, starts = Gaussian(space), _levels(space, 12), (-3.0, 0.5, 2.0)
            rows = sample(spec, problem.denoise, Row(starts), sigmas, noise=_seeded_rows(len(starts)))
            for i, start in enumerate(starts):
                alone = _seeded_floats(i)
                assert sample(spec, problem.denoise, start, sigmas, noise=alone) == rows.values[i]

    def test_on_step_is_called_once_a_step(self, spec: SamplerSpec) -> None:
        """It is given the index, the picture before the step, and what the model sees in it."""
        for space in sorted(spec.spaces):
            problem, sigmas = Gaussian(space), _levels(space, 7)
            seen: list[tuple[int, float, float]] = []

            def watch(*step: Any, seen: list[tuple[int, float, float]] = seen) -> None:
                seen.append(step)

            sample(spec, problem.denoise, 2.5, sigmas, noise=_seeded_floats(0), on_step=watch)
            assert [index for index, _, _ in seen] == list(range(len(sigmas) - 1))
            assert seen[0][1] == 2.5
            for index, x, clean in seen:
                assert clean == problem.denoise(x, sigmas[index])

    def test_raising_from_on_step_ends_the_sampling(self, spec: SamplerSpec) -> None:
        """What is raised comes out as it is, and the model is not called again."""
        space, calls = min(spec.spaces), count()
        ended_at: list[int] = []

        def denoise(x: float, sigma: float) -> float:
            next(calls)
            return Gaussian(space).denoise(x, sigma)

        def stop(index: int, *_: float) -> None:
            if index == 2:
                ended_at.append(next(calls))
                raise InterruptedError

        with pytest.raises(InterruptedError):
            sample(spec, denoise, 2.5, _levels(space, 7), noise=_seeded_floats(0), on_step=stop)
        assert next(calls) == ended_at[0] + 1

    def test_the_last_step_gives_the_clean_picture(self, spec: SamplerSpec) -> None:
        """Exactly, from any number of steps: no rounding, no division by the final 0."""
        for space in sorted(spec.spaces):
            for steps in (0, 1, 2, 20):
                last: list[float] = []

                def watch(*step: float, last: list[float] = last) -> None:
                    last[:] = step[2:]

                sigmas = _levels(space, steps)
                denoise, noise = Gaussian(space).denoise, _seeded_floats(0)
                end = sample(spec, denoise, 2.5, sigmas, noise=noise, on_step=watch)
                assert end == last[0]

    def test_a_constant_denoiser_gives_the_constant(self, spec: SamplerSpec) -> None:
        """Whatever the start and the noise."""
        for space in sorted(spec.spaces):
            assert sample(spec, lambda *_: 0.7, 2.5, _levels(space, 9), noise=_seeded_floats(0)) == 0.7

    def test_noise_is_asked_for_between_the_levels(self, spec: SamplerSpec) -> None:
        """Intervals go down, and lie within the schedule."""
        for space in sorted(spec.spaces):
            sigmas, asked = _levels(space, 9), list[tuple[float, float]]()

            def draw(now: float, nxt: float, asked: list[tuple[float, float]] = asked) -> float:
                asked.append((now, nxt))
                return 0.0

            sample(spec, Gaussian(space).denoise, 2.5, sigmas, noise=draw)
            assert all(sigmas[0] >= now > nxt >= 0 for now, nxt in asked)
            assert spec.stochastic or not asked


def sample(
    spec: SamplerSpec,
    denoise: Callable[[Any, float], Any],
    x: Any,
    sigmas: Sequence[float],
    *,
    noise: Draw,
    on_step: Callable[[int, Any, Any], None] | None = None,
) -> Any:
    """Call the sampler as the host does, with the defaults of its options."""
    arguments: dict[str, Any] = dict(spec.options())
    if spec.stochastic:
        arguments["noise"] = noise
    if on_step:
        arguments["on_step"] = on_step
    return spec.sample(denoise, x, sigmas, **arguments)


def measured_order(spec: SamplerSpec, space: str) -> float:
    """The order of accuracy seen on the hardest problem: the exponent of the step size in the error."""
    measures = [_spread_error]
    if not _draws(spec, space):
        measures.append(_path_error)
    errors = [(measure(spec, space, STEPS), measure(spec, space, 2 * STEPS)) for measure in measures]
    return min(inf if fine < EXACT else log2(coarse / fine) for coarse, fine in errors)


def _spread_error(spec: SamplerSpec, space: str, steps: int) -> float:
    """How far the mean and deviation of all samples together are from the exact ones, for Gaussian data.

    The denoiser is linear, so a sample is a sum of its start and each draw of noise, with fixed
    weights. Sampling a row whose every number has another one of them set to 1 finds all weights at once,
    and no chance is involved.
    """
    problem, sigmas = Gaussian(space), _levels(space, steps)
    start, draws = problem.noisy(sigmas[0]), _draws(spec, space, steps)
    turn = count(2)

    def unit(*_: float) -> Row:
        mine = next(turn)
        return Row.of(float(i == mine) for i in range(draws + 2))

    x = Row.of([start.mean, start.mean + start.stdev, *[start.mean] * draws])
    mean, *moved = sample(spec, problem.denoise, x, sigmas, noise=unit).values
    exact = _end(problem, sigmas[-2])
    deviation = sqrt(sum((value - mean) ** 2 for value in moved))
    return abs(float(mean) - exact.mean) + abs(deviation - exact.stdev)


def _end(problem: Gaussian, last: float) -> NormalDist:
    """The distribution of the clean picture that an exact solution gives in its step from `last` to 0."""
    noisy = problem.noisy(last)
    mean, above = problem.denoise(noisy.mean, last), problem.denoise(noisy.mean + noisy.stdev, last)
    return NormalDist(mean, above - mean)


def _path_error(spec: SamplerSpec, space: str, steps: int) -> float:
    """The largest distance from the exact solution, from several starts, for data of two kinds."""
    problem = Mixture((Gaussian(space, -1.0, 0.5), Gaussian(space, 1.5, 0.7)))
    sigmas = _levels(space, steps)

    def error(start: float) -> float:
        exact = problem.denoise(problem.move(start, sigmas[0], sigmas[-2]), sigmas[-2])
        found: float = sample(spec, problem.denoise, start, sigmas, noise=_silent)
        return abs(found - exact)

    return max(error(part * sigmas[0]) for part in (-1.2, -0.5, -0.1, 0.2, 0.6, 1.1))


def _draws(spec: SamplerSpec, space: str, steps: int = 3) -> int:
    """How often the sampler asks for noise."""
    calls = count()

    def draw(*_: float) -> float:
        next(calls)
        return 0.0

    sample(spec, Gaussian(space).denoise, 1.0, _levels(space, steps), noise=draw)
    return next(calls)


def _levels(space: str, steps: int, low: float | None = None) -> tuple[float, ...]:
    """`steps` steps, each to the same part of the last level, and one to 0."""
    high, lowest = RANGE[space]
    ratio = (low or lowest) / high
    return (*(high * ratio ** (i / max(steps, 1)) for i in range(steps + 1)), 0.0)


def _seeded_floats(seed: int) -> Draw:
    random = Random(seed)
    return lambda *_: random.gauss()


def _seeded_rows(width: int) -> Draw:
    draws = [_seeded_floats(seed) for seed in range(width)]
    return lambda now, nxt: Row.of(draw(now, nxt) for draw in draws)


def _silent(*_: float) -> float:
    return 0.0
