"""How long a job takes is told where its work and the speed of its devices are known, and only there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import latentry_bench
import latentry_toy
from latentry_bench.estimating import reckoned, speed_of
from latentry_bench.machine import signature
from latentry_bench.profile import Profile, Rate, profile_path, write
from latentry_sdk import Config, DeviceReport, Host, Placement, Plan, Request

TOY = Request(task="toy", prompt="cross", steps=10, guidance=1)
STEP = 5 * 64
"""Operations of one of the toy's steps."""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return opened(tmp_path).plan(TOY)


def opened(folder: Path) -> Host:
    return Host([latentry_toy, latentry_bench], Config(data_dir=folder, models_dir=folder))


def rate(operations: float, seconds: float, **more: Any) -> Rate:
    fields = {"device": "toy", "dtype": "float64", "detail": "", **more}
    return Rate(operations=operations, seconds=seconds, **fields)


def profile(*rates: Rate) -> Profile:
    return Profile(machine=signature(), rates=rates)


def reports(**speed: float) -> dict[str, DeviceReport]:
    return {"toy": DeviceReport(True, dtypes=("float64", "float32"), speed=speed)}


def test_without_a_speed_no_time_is_told(plan: Plan) -> None:
    assert plan.seconds is None
    assert plan.applied()["seconds"] is None
    assert reckoned(plan, reports(float32=1e9), None) is None


def test_the_time_is_the_work_over_the_devices_speed(plan: Plan) -> None:
    assert reckoned(plan, reports(float64=1e3), None) == 10 * STEP / 1e3


def test_every_image_counts_and_every_call_of_the_sampler(plan: Plan, tmp_path: Path) -> None:
    three = opened(tmp_path).plan(TOY.model_copy(update={"batch": 3, "steps": 7}))
    assert reckoned(three, reports(float64=1e3), None) == 3 * 7 * STEP / 1e3


def test_of_a_family_that_counts_no_work_no_time_is_told(plan: Plan) -> None:
    silent = replace(plan, family=replace(plan.family, operations=lambda *_: 0))
    assert reckoned(silent, reports(float64=1e3), None) is None


def test_what_was_measured_is_stronger_than_what_a_report_says(plan: Plan) -> None:
    assert reckoned(plan, reports(float64=1e3), profile(rate(STEP, 2.0))) == pytest.approx(10 * 2.0)


def test_the_speed_is_that_of_the_nearest_work() -> None:
    known = profile(rate(10, 1.0), rate(1000, 10.0), rate(1e6, 100.0))
    report, place = DeviceReport(True, dtypes=("float64",)), Placement("toy")
    found = [speed_of(place, report, known, step) for step in (1, 90, 110, 1e5, 1e9)]
    assert found == [10, 10, 100, 1e4, 1e4]


@pytest.mark.parametrize("other", [{"device": "b"}, {"dtype": "float32"}, {"detail": "another one"}])
def test_what_was_measured_elsewhere_says_nothing(plan: Plan, other: dict[str, str]) -> None:
    assert reckoned(plan, reports(), profile(rate(STEP, 2.0, **other))) is None


def test_further_plans_take_their_time_too(plan: Plan) -> None:
    second = replace(plan, seconds=5.0)
    both = replace(plan, further={"hires": second, "other": None})
    assert reckoned(both, reports(float64=1e3), None) == 10 * STEP / 1e3 + 5.0
    assert reckoned(replace(plan, further={"hires": plan}), reports(float64=1e3), None) is None


def test_a_plan_has_the_time_by_this_machines_profile(tmp_path: Path) -> None:
    host = opened(tmp_path)
    detail = host.devices()["toy"].detail
    write(profile_path(), profile(rate(STEP, 0.5, detail=detail)))
    plan = host.plan(TOY)
    assert plan.seconds == plan.applied()["seconds"] == pytest.approx(5.0)
    assert host.run(TOY).applied["seconds"] == pytest.approx(5.0)


def test_a_profile_of_another_machine_tells_no_time(tmp_path: Path) -> None:
    host = opened(tmp_path)
    other = Profile(machine={**signature(), "cores": 1000}, rates=(rate(STEP, 0.5),))
    write(profile_path(), other)
    assert host.plan(TOY).seconds is None
