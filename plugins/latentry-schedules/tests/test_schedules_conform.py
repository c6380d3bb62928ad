"""Every schedule of this plugin keeps the contract, for any number of steps."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import latentry_schedules
from latentry_schedules.timesteps import ddim_uniform, normal, simple
from latentry_sdk import InvalidRequest, ModelRange, SchedulerSpec
from latentry_sdk.testing import SchedulerConformance, flow_range, heavy_imports, stable_diffusion_range

SCHEDULES = {spec.name: spec for spec in latentry_schedules.register_schedulers()}
RANGES = (stable_diffusion_range(), flow_range())
SHORT = ModelRange(tuple(0.05 * 1.6**t for t in range(10)))


class TestSchedules(SchedulerConformance):
    """All nine."""

    @pytest.fixture(params=SCHEDULES.values(), ids=[*SCHEDULES])
    def spec(self, request: pytest.FixtureRequest) -> SchedulerSpec:
        spec: SchedulerSpec = request.param
        return spec


@settings(deadline=None)
@given(st.integers(1, 1000), st.sampled_from(sorted(SCHEDULES)), st.sampled_from(RANGES))
def test_any_number_of_steps_falls_to_zero(steps: int, name: str, model_range: ModelRange) -> None:
    sigmas = SCHEDULES[name].sigmas(steps, model_range)
    assert len(sigmas) == steps + 1
    assert sigmas[-1] == 0
    assert all(now > nxt for now, nxt in pairwise(sigmas))


@pytest.mark.parametrize("spec", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("steps", [1, 9, 10, 11, 1000])
def test_a_model_with_few_levels_can_take_many_steps(spec: SchedulerSpec, steps: int) -> None:
    sigmas = spec.sigmas(steps, SHORT)
    assert len(sigmas) == steps + 1
    assert all(now > nxt for now, nxt in pairwise(sigmas))


def test_a_step_for_every_level_visits_every_level() -> None:
    for model_range in (*RANGES, SHORT):
        every = (*reversed(model_range.sigmas), 0.0)
        for schedule in (normal, simple, ddim_uniform):
            assert schedule(len(model_range.sigmas), model_range) == every


@pytest.mark.parametrize("spec", SCHEDULES.values(), ids=SCHEDULES)
def test_the_highest_level_is_the_model_s_own(spec: SchedulerSpec) -> None:
    first = spec.sigmas(20, RANGES[0])[0]
    assert first == (RANGES[0].sigmas[951] if spec.name == "ddim_uniform" else RANGES[0].sigma_max)


@pytest.mark.parametrize("name", ["karras", "exponential", "beta"])
def test_the_ends_can_be_chosen(name: str) -> None:
    sigmas = SCHEDULES[name].sigmas(10, RANGES[0], sigma_min=0.1, sigma_max=5.0)
    assert sigmas[0] == 5.0
    assert sigmas[-2:] == (0.1, 0.0)


@pytest.mark.parametrize("name", ["karras", "exponential", "beta"])
@pytest.mark.parametrize(("low", "high"), [(20.0, None), (None, 0.01), (2.0, 2.0)])
def test_ends_in_the_wrong_order_are_refused(name: str, low: float | None, high: float | None) -> None:
    with pytest.raises(InvalidRequest, match="is not below"):
        SCHEDULES[name].sigmas(10, RANGES[0], sigma_min=low, sigma_max=high)


def test_a_flow_model_ends_at_one() -> None:
    with pytest.raises(InvalidRequest, match="above 1"):
        SCHEDULES["karras"].sigmas(10, RANGES[1], sigma_max=14.6)


def test_steps_that_fall_on_one_level_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="1000 steps are too many"):
        SCHEDULES["beta"].sigmas(1000, RANGES[0], alpha=0.1, beta=0.1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("karras", {"rho": 0}),
        ("karras", {"sigma_min": 0}),
        ("karras", {"sigma_max": float("inf")}),
        ("beta", {"alpha": -1}),
        ("normal", {"rho": 7}),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SCHEDULES[name].options.model_validate(options)


def test_the_suite_notices_broken_schedules() -> None:
    suite, good = SchedulerConformance(), SCHEDULES["normal"]

    def flat(steps: int, model_range: ModelRange, /, **options: Any) -> tuple[float, ...]:
        return (*(model_range.sigma_max for _ in range(steps)), 0.0)

    def short(steps: int, model_range: ModelRange, /, **options: Any) -> tuple[float, ...]:
        return good.sigmas(steps, model_range)[1:]

    def wide(steps: int, model_range: ModelRange, /, **options: Any) -> tuple[float, ...]:
        return tuple(2 * sigma for sigma in good.sigmas(steps, model_range))

    with pytest.raises(AssertionError):
        suite.test_levels_fall_to_zero(replace(good, sigmas=flat))
    with pytest.raises(AssertionError):
        suite.test_it_gives_one_level_more_than_steps(replace(good, sigmas=short))
    with pytest.raises(AssertionError):
        suite.test_levels_are_within_the_model_s_range(replace(good, sigmas=wide))


def test_planning_with_the_schedules_imports_nothing_heavy() -> None:
    assert not heavy_imports(
        "import latentry_schedules as plugin\n"
        "from latentry_sdk import ModelRange\n"
        "levels = ModelRange((0.1, 1.0, 10.0))\n"
        "for spec in plugin.register_schedulers(): spec.sigmas(20, levels)"
    )
