"""What a sampler must do, and the claims of its spec that are measured."""

from itertools import count
from math import sqrt
from statistics import fmean, pstdev
from typing import Any

import pytest

from latentry_sdk import SamplerSpec
from latentry_sdk.testing.problems import Gaussian
from latentry_sdk.testing.row import Row
from latentry_sdk.testing.samplers_order import measured_order
from latentry_sdk.testing.samplers_run import Draws, levels, sample

NEAR = 0.35
MANY = 4000


class SamplerContract:
    """What holds of every sampler, of those for distilled models too: subclass it and override `spec`."""

    @pytest.fixture
    def spec(self) -> SamplerSpec:
        """The sampler under test."""
        raise NotImplementedError("override the fixture `spec`")

    def test_every_level_has_the_noise_that_its_sigma_says(self, spec: SamplerSpec) -> None:
        """Where all data is one point, what is not that point has the deviation sigma, exactly."""
        for space in sorted(spec.spaces):
            sigmas, seen = levels(space, 9), list[Row]()
            draws = Draws(spec, sigmas)
            width = draws.count + 1
            start, *pieces = [Row.of(float(i == one) for i in range(width)) for one in range(width)]

            def watch(_index: int, x: Row, _clean: Row, seen: list[Row] = seen) -> None:
                seen.append(x)

            def point(x: Row, _sigma: float) -> Row:
                return x * 0.0

            sample(spec, point, start * sigmas[0], sigmas, noise=draws.of(pieces), on_step=watch)
            found = [sqrt(sum(value**2 for value in x.values)) for x in seen]
            assert found == pytest.approx(sigmas[:-1], rel=1e-9)

    def test_floats_and_arrays_give_the_same(self, spec: SamplerSpec) -> None:
        """An array is sampled as its elements are, with nothing but + - * / and not in place."""
        for space in sorted(spec.spaces):
            problem, sigmas, starts = Gaussian(space), levels(space, 12), (-3.0, 0.5, 2.0)
            draws = Draws(spec, sigmas)
            rows = sample(spec, problem.denoise, Row(starts), sigmas, noise=draws.rows(range(len(starts))))
            for i, start in enumerate(starts):
                alone = draws.floats(i)
                assert sample(spec, problem.denoise, start, sigmas, noise=alone) == rows.values[i]

    def test_on_step_is_called_once_a_step(self, spec: SamplerSpec) -> None:
        """It is given the index, the picture before the step, and what the model sees in it."""
        for space in sorted(spec.spaces):
            problem, sigmas = Gaussian(space), levels(space, 7)
            seen: list[tuple[int, float, float]] = []

            def watch(*step: Any, seen: list[tuple[int, float, float]] = seen) -> None:
                seen.append(step)

            sample(spec, problem.denoise, 2.5, sigmas, noise=Draws(spec, sigmas).floats(0), on_step=watch)
            assert [index for index, _, _ in seen] == list(range(len(sigmas) - 1))
            assert seen[0][1] == 2.5
            for index, x, clean in seen:
                assert clean == problem.denoise(x, sigmas[index])

    def test_raising_from_on_step_ends_the_sampling(self, spec: SamplerSpec) -> None:
        """What is raised comes out as it is, and the model is not called again."""
        space, calls = min(spec.spaces), count()
        sigmas, ended_at = levels(space, 7), list[int]()

        def denoise(x: float, sigma: float) -> float:
            next(calls)
            return Gaussian(space).denoise(x, sigma)

        def stop(index: int, *_: float) -> None:
            if index == 2:
                ended_at.append(next(calls))
                raise InterruptedError

        with pytest.raises(InterruptedError):
            sample(spec, denoise, 2.5, sigmas, noise=Draws(spec, sigmas).floats(0), on_step=stop)
        assert next(calls) == ended_at[0] + 1

    def test_the_last_step_gives_the_clean_picture(self, spec: SamplerSpec) -> None:
        """Exactly, from any number of steps: no rounding, no division by the final 0."""
        for space in sorted(spec.spaces):
            for steps in (0, 1, 2, 20):
                last: list[float] = []

                def watch(*step: float, last: list[float] = last) -> None:
                    last[:] = step[2:]

                sigmas = levels(space, steps)
                denoise, noise = Gaussian(space).denoise, Draws(spec, sigmas).floats(0)
                end = sample(spec, denoise, 2.5, sigmas, noise=noise, on_step=watch)
                assert end == last[0]

    def test_a_constant_denoiser_gives_the_constant(self, spec: SamplerSpec) -> None:
        """Whatever the start and the noise."""
        for space in sorted(spec.spaces):
            sigmas = levels(space, 9)
            noise = Draws(spec, sigmas).floats(0)
            assert sample(spec, lambda *_: 0.7, 2.5, sigmas, noise=noise) == 0.7

    def test_noise_is_asked_for_between_the_levels(self, spec: SamplerSpec) -> None:
        """Intervals go down, and lie within the schedule."""
        for space in sorted(spec.spaces):
            sigmas, asked = levels(space, 9), list[tuple[float, float]]()

            def draw(now: float, nxt: float, asked: list[tuple[float, float]] = asked) -> float:
                asked.append((now, nxt))
                return 0.0

            sample(spec, Gaussian(space).denoise, 2.5, sigmas, noise=draw)
            assert all(sigmas[0] >= now > nxt >= 0 for now, nxt in asked)
            assert spec.stochastic or not asked


class SamplerSuite(SamplerContract):
    """Subclass this and override the fixture `spec`, with `params` to test several samplers."""

    def test_its_order_of_accuracy_is_as_claimed(self, spec: SamplerSpec) -> None:
        """Half the step makes the error 2^order smaller: no less, and no more either."""
        for space in sorted(spec.spaces):
            order, name = measured_order(spec, space), f"{spec.name} in {space}"
            assert abs(order - spec.order) < NEAR, f"{name} claims {spec.order}, has {order:.2f}"

    def test_samples_spread_as_the_data_does(self, spec: SamplerSpec) -> None:
        """Many samples have the mean and deviation of the data, within chance and the error of 60 steps."""
        for space in sorted(spec.spaces):
            problem, sigmas = Gaussian(space, 0.3, 0.5), levels(space, 60, low=0.01)
            start = problem.noisy(sigmas[0])
            x = Row.of(start.samples(MANY, seed=0))
            noise = Draws(spec, sigmas).rows(range(MANY))
            ends = sample(spec, problem.denoise, x, sigmas, noise=noise).values
            chance = 5 * problem.deviation / sqrt(MANY)
            assert abs(fmean(ends) - problem.mean) < chance + 0.05 * problem.deviation
            assert abs(pstdev(ends) - problem.deviation) < chance + 0.05 * problem.deviation
