"""Plans go by the profile where their user named nothing, say so, and run."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import latentry_bench
import latentry_toy
from latentry_bench.machine import signature
from latentry_bench.profile import Entry, Profile, key, profile_path, write
from latentry_sdk import Config, DeviceReport, DeviceSpec, Host, OptimizerSpec, Plan, Request, hookimpl
from latentry_toy import keeping

TOY = Request(task="toy", prompt="cross", seed=3)


def others(detail: str = "a second one", *, available: bool = True) -> Any:
    """A second device, of lower rank than the toy, and a technique that is approximate."""
    report = DeviceReport(available, detail, dtypes=("float64", "float32"), rank=-1)
    device = DeviceSpec("second", lambda: report, keeping.open_device, frozenset({"toy"}))
    rough = OptimizerSpec("rough", frozenset({"*"}), keeping.twice, keeping.remember, error=0.5)
    return SimpleNamespace(
        register_devices=hookimpl(lambda: [device]), register_optimizers=hookimpl(lambda: [rough])
    )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return opened(tmp_path)


def opened(folder: Path, *plugins: Any) -> Host:
    found = Host(
        [latentry_toy, latentry_bench, *(plugins or [others()])], Config(data_dir=folder, models_dir=folder)
    )
    assert [record.reason for record in found.records if record.status != "active"] == []
    return found


def keep(host: Host, machine: Mapping[str, Any] | None = None, **more: Any) -> None:
    """Write a profile that says that the second device is the fastest for the toy."""
    write(profile_path(), Profile(machine=machine or signature(), entries=()))
    plan = host.plan(TOY)
    variant, parameters, side = key(plan.detected, plan.size)
    values = {
        "variant": variant,
        "parameters": parameters,
        "side": side,
        "device": "second",
        "dtype": "float64",
        "detail": "a second one",
        "size": plan.size,
        "picture": 0.001,
        "measured": "2026-01-01",
    }
    entry = Entry.model_validate({**values, **more})
    write(profile_path(), Profile(machine=machine or signature(), entries=(entry,)))


def place(plan: Plan) -> tuple[str, str | None]:
    found = plan.placements["painter"]
    return found.device, found.dtype


def test_without_a_profile_nothing_changes(host: Host) -> None:
    plan = host.plan(TOY)
    assert (place(plan), plan.notes) == (("toy", "float64"), ())


def test_a_plan_goes_by_the_profile_and_says_so(host: Host) -> None:
    keep(host)
    plan = host.plan(TOY)
    assert place(plan) == ("second", "float64")
    assert plan.applied()["notes"] == ["by the machine's profile: second in float64"]
    assert host.run(TOY).applied["placements"] == {"painter": "second"}


@pytest.mark.parametrize(
    "named",
    [
        {"place": {"*": "toy"}},
        {"place": {"painter": "toy"}},
        {"dtype": "float64"},
        {"optimizers": ("toy-remember",)},
        {"quantize": {"painter": "toy-round"}},
    ],
    ids=lambda named: next(iter(named)),
)
def test_what_the_user_names_is_stronger(host: Host, named: Mapping[str, Any]) -> None:
    keep(host)
    plan = host.plan(TOY.model_copy(update=named))
    assert (place(plan)[0], plan.notes) == ("toy", ())


def test_another_size_is_not_what_was_measured(host: Host) -> None:
    keep(host, side=9)
    assert place(host.plan(TOY))[0] == "toy"


def test_another_model_is_not_what_was_measured(host: Host) -> None:
    keep(host, parameters=5)
    assert place(host.plan(TOY))[0] == "toy"


def test_options_that_were_not_measured_leave_a_device_that_converts_alone(host: Host) -> None:
    keep(host)
    request = TOY.model_copy(update={"sampler": "toy_ancestral", "options": {"toy_ancestral": {"eta": 0.5}}})
    plan = host.plan(request)
    assert place(plan)[0] == "toy"
    assert plan.notes == (
        "the machine's profile is not used: it was not measured with options of toy_ancestral",
    )


@pytest.mark.parametrize(
    "more", [{"changeable": True}, {"owners": ("toy_ancestral",)}], ids=["changeable", "measured"]
)
def test_options_do_not_matter_where_they_were_measured_or_can_be_done(
    host: Host, more: Mapping[str, Any]
) -> None:
    keep(host, **more)
    request = TOY.model_copy(update={"sampler": "toy_ancestral", "options": {"toy_ancestral": {"eta": 0.5}}})
    assert place(host.plan(request))[0] == "second"


def test_a_device_that_is_not_what_it_was_is_not_preferred(tmp_path: Path) -> None:
    keep(opened(tmp_path))
    assert place(opened(tmp_path, others("a third one")).plan(TOY))[0] == "toy"
    assert place(opened(tmp_path, others(available=False)).plan(TOY))[0] == "toy"


def test_its_optimizers_are_added_with_their_options(host: Host) -> None:
    keep(host, optimizers=("painter=toy-remember",))
    plan = host.plan(TOY)
    assert plan.optimized() == ["painter=toy-remember"]
    assert ("OptimizerSpec", "toy-remember") in plan.options
    assert plan.notes == ("by the machine's profile: second in float64, painter=toy-remember",)
    assert host.run(TOY).applied["optimizers"] == ["painter=toy-remember"]


MEASURED = {"task": "toy", "steps": TOY.steps, "guided": TOY.guidance > 1, "picture": 3.0, "step": 0.1}


@pytest.mark.parametrize(
    ("steps", "words"),
    [(0, "3 s"), (10, "4 s"), (-5, "2.5 s"), (-TOY.steps + 1, f"{3 - 0.1 * (TOY.steps - 1):.3g} s")],
)
def test_a_plan_says_how_long_a_picture_takes_as_far_as_was_measured(
    host: Host, steps: int, words: str
) -> None:
    keep(host, **MEASURED)
    (note,) = host.plan(TOY.model_copy(update={"steps": TOY.steps + steps})).notes
    assert note == f"by the machine's profile: second in float64; about {words} a picture"


def test_what_was_added_is_told_before_the_time(host: Host) -> None:
    keep(host, optimizers=("painter=toy-remember",), **MEASURED)
    assert host.plan(TOY).notes[0].endswith("painter=toy-remember; about 3 s a picture")


@pytest.mark.parametrize(
    "other",
    [{"task": "another"}, {"steps": 0}, {"step": None}, {"guided": TOY.guidance <= 1}, {"size": (8, 16)}],
)
def test_of_what_was_not_measured_no_time_is_told(host: Host, other: dict[str, Any]) -> None:
    keep(host, **{**MEASURED, **other})
    assert host.plan(TOY).notes == ("by the machine's profile: second in float64",)


def test_an_entry_of_another_picture_says_so(host: Host) -> None:
    keep(host, optimizers=("painter=rough",), approximate=True)
    assert host.plan(TOY).notes[0].endswith("painter=rough (another picture)")


def test_the_picture_is_the_same_with_the_profile_and_without(host: Host) -> None:
    before = host.run(TOY).artifacts[0].data
    keep(host, optimizers=("painter=toy-remember",))
    assert host.run(TOY).artifacts[0].data == before


def test_optimizers_are_left_out_where_memory_is_off_or_they_are_gone(host: Host) -> None:
    keep(host, optimizers=("painter=gone",))
    plan = host.plan(TOY)
    assert (place(plan)[0], plan.optimized()) == ("second", [])
    assert "without its optimizers, as gone is not installed" in plan.notes[0]
    keep(host, optimizers=("painter=toy-remember",))
    plan = host.plan(TOY.model_copy(update={"memory": "off"}))
    assert (place(plan)[0], plan.optimized()) == ("second", [])


def test_a_profile_of_another_machine_is_not_used_and_it_is_said(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    keep(host, machine={**signature(), "processor": "another one"})
    with caplog.at_level(logging.WARNING):
        plan = host.plan(TOY)
    assert place(plan)[0] == "toy"
    assert plan.notes[0].startswith("the machine's profile is not used: processor was another one")
    assert plan.notes[0] in caplog.text
    assert host.run(TOY).artifacts


def test_a_profile_that_cannot_be_read_is_no_error_of_the_job(
    host: Host, profile: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile.parent.mkdir()
    profile.write_text('{"version": 1, "machine"')
    plan = host.plan(TOY)
    assert place(plan)[0] == "toy"
    assert "cannot be read" in plan.notes[0]
    assert "cannot be read" in caplog.text
    assert host.run(TOY).artifacts


def test_an_empty_variable_turns_it_off(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(host)
    monkeypatch.setenv("LATENTRY_PROFILE", "")
    assert place(host.plan(TOY))[0] == "toy"
