"""Every option of every plugin survives what is no value for it (behaviours, section 9, items 3, 5 and 9).

The options are those that the registry declares, so those of a new plugin are tried as well. A hostile value
is refused in one line or taken as a finite one, and what is taken can be planned or is refused in one line.
Pictures and masks (items 1 and 4) are inputs, never options: test_pictures.py has them.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from latentry_sdk import Options, Plan, Request, UserError, parsed
from latentry_sdk.testing.hostile import NAMES, TEXTS

if TYPE_CHECKING:
    from tests.bad_input.conftest import Trial

    from latentry.specs import Configurable

SECONDS, LONGEST_LINE = 5.0, 1000
KINDS = ("tasks", "stages", "samplers", "schedulers", "devices", "optimizers")
SMALL: Mapping[str, Any] = {"task": "txt2img", "prompt": "x", "steps": 4, "seed": 1}
FREE = {"sampler_options", "scheduler_options"}
"""Options of whichever sampler and scheduler are named: planning parses them."""

VALUES: tuple[Any, ...] = (
    *(math.nan, math.inf, -math.inf, 1e308, -1e308, 10**400, -(10**400), 2**64, -1, 0, 1.0001, 2.5, True),
    *(None, {}, {"a": math.nan}, [], [1], [math.nan], [math.inf, 1e308], [[[[[1]]]]], [1.0] * 10_000),
    *(b"\xff", {"eta": math.nan}, {"rho": math.inf}),
    *("", "nan", "1e999", "9" * 100_000, ["x"] * 10_000, ["\ud800"], ["../../etc/passwd"], [["x"]]),
    *("x" * (1 << 20), "[" * (1 << 20), ["x" * (1 << 20)], {"x" * (1 << 20): "x"}),
    *TEXTS.values(),
    *NAMES,
)


def declared(trial: "Trial", kind: str) -> Iterator[tuple["Configurable", str]]:
    """The parts of one kind that declare options, and each of their options."""
    for spec in getattr(trial.host.registry, kind).values():
        for name in spec.options.model_fields:
            yield spec, name


def tried(options: type[Options], values: Mapping[str, Any]) -> Options | str:
    """The options, or the line that refuses them."""
    try:
        return parsed(options, values)
    except UserError as exc:
        return str(exc)


def is_sound(value: Any) -> bool:
    """Whether no number in a value is NaN or infinite, and each path could be one."""
    if isinstance(value, Path):
        return not set("\0\n\x1b") & set(str(value)) and all(len(part) < 256 for part in value.parts)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return all(map(is_sound, parts)) and not (isinstance(value, float) and not math.isfinite(value))


def asking(trial: "Trial", kind: str, spec: "Configurable") -> Mapping[str, Any] | None:
    """A request whose plan has the part; None where the embedded model has no such one on this machine."""
    registry = trial.host.registry
    if kind in ("samplers", "schedulers"):
        fits = "ve" in getattr(registry, kind)[spec.name].spaces
        return {kind.removesuffix("s"): spec.name} if fits else None
    if kind == "devices":
        fits = "torch" in registry.devices[spec.name].kinds and trial.host.devices()[spec.name].available
        return {"place": {"*": spec.name}} if fits else None
    if kind == "optimizers":
        return {"optimizers": (spec.name,)}
    if kind == "tasks":
        return {"task": spec.name, **inputs(trial, spec.name)}
    plan = trial.host.plan(Request(task="inpaint", **inputs(trial, "inpaint")))
    return {"task": "inpaint", **inputs(trial, "inpaint")} if spec in plan.stages else None


def inputs(trial: "Trial", task: str) -> Mapping[str, Any]:
    return {"inputs": {each.name: trial.inputs[each.name] for each in trial.host.registry.tasks[task].inputs}}


def planned(trial: "Trial", fields: Mapping[str, Any], options: Mapping[str, Any]) -> Plan | str:
    """The plan of a small job, or the line that refuses it."""
    began = perf_counter()
    try:
        request = Request(
            **{"task": "txt2img", "prompt": "x", "steps": 4, "seed": 1, **fields, "options": options}
        )
        return trial.host.plan(request)
    except UserError as exc:
        return str(exc)
    finally:
        assert perf_counter() - began < SECONDS


def all_plans(plan: Plan) -> Iterator[Plan]:
    """A plan and the further ones in it."""
    yield plan
    for further in filter(None, plan.further.values()):
        yield from all_plans(further)


def numbers(plan: Plan) -> Mapping[str, Any]:
    options = {str(part): options.model_dump() for part, options in plan.options.items()}
    return {"sigmas": plan.sigmas, "size": plan.size, "memory": plan.memory, "options": options}


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_value_is_refused_in_one_line_or_taken_as_a_finite_one(trial: "Trial", kind: str) -> None:
    found = [*declared(trial, kind)]
    assert found
    for spec, name in found:
        began = perf_counter()
        for value in VALUES:
            answer = tried(spec.options, {name: value})
            if isinstance(answer, str):
                assert len(answer.splitlines()) == 1, (spec.name, name)
                assert len(answer) < LONGEST_LINE, (spec.name, name)
                assert name in answer, (spec.name, answer)
            else:
                assert is_sound(answer.model_dump(exclude=FREE)), (spec.name, name, str(value)[:80])
        assert perf_counter() - began < SECONDS, (spec.name, name)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_taken_can_be_planned_or_is_refused_in_one_line(trial: "Trial", kind: str) -> None:
    plans = 0
    for spec, name in declared(trial, kind):
        if (fields := asking(trial, kind, spec)) is None:
            continue
        taken = [value for value in VALUES if isinstance(tried(spec.options, {name: value}), Options)]
        for value in (math.nan, [math.nan], *taken):
            plan = planned(trial, fields, {spec.name: {name: value}})
            if isinstance(plan, str):
                assert len(plan.splitlines()) == 1, (spec.name, name)
                assert len(plan) < LONGEST_LINE, (spec.name, name)
                assert value in taken or (spec.name in plan and name in plan), plan
            else:
                assert is_sound([*map(numbers, all_plans(plan))]), (spec.name, name, value)
                plans += 1
    assert plans
