"""Every schedule of this plugin keeps the contract, for any number of steps."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import latentry_schedules
from latentry_schedules.suites import TestSchedules  # noqa: F401
from latentry_schedules.timesteps import ddim_uniform, normal, simple
from latentry_sdk import InvalidRequest, ModelRange, SchedulerSpec
from latentry_sdk.testing import SchedulerSuite, flow_range, heavy_imports, stable_diffusion_range

ALL = {spec.name: spec for spec in latentry_schedules.register_schedulers()}
GIVEN = {"sigmas", "timesteps"}
SCHEDULES = {name: spec for name, spec in ALL.items() if name not in GIVEN}
ENDED = ["karras", "exponential", "polyexponential", "linear", "kl_optimal", "beta"]
"""Schedules whose ends can be chosen."""

RANGES = (stable_diffusion_range(), flow_range())
SHORT = ModelRange(tuple(0.05 * 1.6**t for t in range(10)))
CASES = [(spec, levels) for spec in SCHEDULES.values() for levels in RANGES if levels.space in spec.spaces]


@settings(deadline=None)
@given(st.integers(1, 1000), st.sampled_from(CASES))
def test_any_number_of_steps_falls_to_zero(steps: int, case: tuple[SchedulerSpec, ModelRange]) -> None:
    spec, model_range = case
    check(spec.sigmas(steps, model_range), steps, model_range.sigma_min, model_range.sigma_max)


SHAPES = {
    "karras": {"rho": st.floats(1, 100)},
    "polyexponential": {"rho": st.floats(0.1, 10)},
    "beta": {"alpha": st.floats(0.1, 10), "beta": st.floats(0.1, 10)},
}


@settings(deadline=None, max_examples=300)
@given(st.data(), st.integers(1, 1000), st.sampled_from(ENDED), st.sampled_from(RANGES))
def test_legal_options_give_legal_levels(
    data: st.DataObject, steps: int, name: str, model_range: ModelRange
) -> None:
    highest = 1 if model_range.space == "flow" else 1e4
    ends = {"sigma_min": st.floats(1e-5, 0.5), "sigma_max": st.floats(0.6, highest)}
    given = data.draw(st.fixed_dictionaries({}, optional=SHAPES.get(name, {}) | ends))
    options = SCHEDULES[name].options.model_validate(given)
    try:
        sigmas = SCHEDULES[name].sigmas(steps, model_range, **dict(options))
    except InvalidRequest:
        assume(steps <= 20)  # more can fall on one level, where the bend is strong
        raise
    low, high = given.get("sigma_min", model_range.sigma_min), given.get("sigma_max", model_range.sigma_max)
    check(sigmas, steps, low, high)
    assert sigmas[0] == high
    assert steps == 1 or sigmas[-2] == low


def check(sigmas: tuple[float, ...], steps: int, low: float, high: float) -> None:
    assert len(sigmas) == steps + 1
    assert sigmas[-1] == 0
    assert all(now > nxt for now, nxt in pairwise(sigmas))
    assert low <= sigmas[-2] <= sigmas[0] <= high


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "align_your_steps"])
@pytest.mark.parametrize("steps", [1, 9, 10, 11, 1000])
def test_a_model_with_few_levels_can_take_many_steps(name: str, steps: int) -> None:
    spec = SCHEDULES[name]
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


def test_the_schedules_whose_ends_can_be_chosen_are_these() -> None:
    assert [name for name, spec in ALL.items() if "sigma_min" in spec.options.model_fields] == ENDED


@pytest.mark.parametrize("name", ENDED)
def test_the_ends_can_be_chosen(name: str) -> None:
    sigmas = SCHEDULES[name].sigmas(10, RANGES[0], sigma_min=0.1, sigma_max=5.0)
    assert sigmas[0] == 5.0
    assert sigmas[-2:] == (0.1, 0.0)


@pytest.mark.parametrize("name", ENDED)
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
        ("linear", {"sigma_max": 1e308}),
        ("exponential", {"sigma_min": 1e-300}),
        ("kl_optimal", {"sigma_max": True}),
        ("polyexponential", {"rho": 0}),
        ("beta", {"alpha": -1}),
        ("normal", {"rho": 7}),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SCHEDULES[name].options.model_validate(options)


def test_the_suite_notices_broken_schedules() -> None:
    suite, good = SchedulerSuite(), SCHEDULES["normal"]

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
        "levels = ModelRange((0.01, 1.0, 20.0))\n"
        "given = {'sigmas': {'values': (2.0,)}, 'timesteps': {'values': (1.5,)}}\n"
        "for spec in plugin.register_schedulers(): spec.sigmas(1, levels, **given.get(spec.name, {}))"
    )
