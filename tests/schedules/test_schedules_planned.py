"""Schedules in a plan: their options and refusals as a user meets them, before a weight is read."""

from collections.abc import Iterator, Mapping
from math import inf, nan
from typing import Any

import pytest

from latentry import Config, Host, Request, UserError
from latentry.plan import Plan

RANGE: tuple[Any, ...] = (nan, inf, 0, -1, 1e308, 1e-300, True, "", "high", [1.0])
SHAPE: tuple[Any, ...] = (nan, inf, 0, -1, 101, True, "", "much", [1.0])
VALUES: tuple[Any, ...] = (
    nan,
    5,
    True,
    "",
    "5",
    "5,x",
    "nan,1",
    "1e400,1",
    "1,5",
    "5,5",
    "5,-1",
    "9,5,1",
    [5, None],
    {},
)
BAD: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("karras", "rho"): SHAPE,
    ("polyexponential", "rho"): SHAPE,
    ("beta", "alpha"): SHAPE,
    ("beta", "beta"): SHAPE,
    **{
        (name, end): RANGE
        for name in ("karras", "exponential", "polyexponential", "linear", "kl_optimal", "beta")
        for end in ("sigma_min", "sigma_max")
    },
    ("normal", "zero_snr"): (nan, inf, 2, -1, "", "maybe", [True], {}),
    ("beta", "skip_last"): (nan, inf, 2, -1, "", "maybe", [True], {}, None),
    ("align_your_steps", "table"): ("", "SDXL", "flux", 1, None),
    ("sigmas", "values"): (*VALUES, "20000,1", "5,1e-9", "5," * 5000),
    ("timesteps", "values"): (*VALUES, "1000,1", "5," * 5000),
}
CASES = [
    pytest.param(*place, value, id=f"{'.'.join(place)}-{str(value)[:12]}")
    for place, values in BAD.items()
    for value in values
]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Every plugin; the included model."""
    with Host(config=Config()) as host:
        yield host


def planned(host: Host, scheduler: str, steps: int = 2, **options: Any) -> Plan:
    given = {scheduler: options} if options else {}
    return host.plan(Request(task="txt2img", steps=steps, scheduler=scheduler, options=given))


@pytest.mark.parametrize(("name", "option", "value"), CASES)
def test_a_bad_option_ends_in_one_line_that_names_it(host: Host, name: str, option: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        planned(host, name, **{option: value})
    (line,) = str(caught.value).splitlines()
    assert name in line
    assert len(line) < 300


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("karras", {"sigma_min": 20}, "sigma_min 20 is not below sigma_max 14.6146"),
        ("linear", {"sigma_min": 3, "sigma_max": 2}, "sigma_min 3 is not below sigma_max 2"),
        ("sigmas", {}, "scheduler 'sigmas' has no values; give sigmas.values, 2 of them"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    host: Host, name: str, options: Mapping[str, float], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        planned(host, name, **options)
    assert str(caught.value).startswith(message)


def test_a_bend_that_is_too_strong_for_so_many_steps_is_the_users_matter(host: Host) -> None:
    with pytest.raises(UserError, match="1000 steps are too many for this schedule"):
        planned(host, "polyexponential", steps=1000, rho=10)


def test_every_schedule_plans_for_the_included_model(host: Host) -> None:
    given = {"sigmas": {"values": "14.6,1"}, "timesteps": {"values": [999, 250]}}
    for name in [name for name, owner in host.registry.schedulers.owners.items() if owner == "schedules"]:
        plan = planned(host, name, **given.get(name, {}))
        assert plan.scheduler.name == name
        assert len(plan.sigmas) == 3


def test_the_name_of_another_program_is_planned_as_ours(host: Host) -> None:
    plan = host.plan(Request(task="txt2img", scheduler="Karras", options={"karras": {"rho": 5}}))
    assert plan.applied()["scheduler"] == "karras"
    assert plan.sigmas == planned(host, "karras", steps=20, rho=5).sigmas
