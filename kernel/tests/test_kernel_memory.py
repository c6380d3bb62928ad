"""What the kernel does for plugins that fit jobs into memory: it asks them, and tries again."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from latentry import Request
from latentry.errors import InvalidRequest, OutOfMemory, PluginError, Unavailable, UnknownName
from latentry_sdk import (
    JOB,
    Count,
    DeviceReport,
    DeviceSpec,
    Field,
    Footprint,
    Memory,
    OptimizerSpec,
    Options,
    Plan,
    QuantizerSpec,
    StageSpec,
    State,
    TaskSpec,
    Work,
)
from latentry_toy import painter

Make = Callable[..., Any]
PAINTER = frozenset({"painter"})
RING = {"task": "toy", "prompt": "ring", "steps": 1}


class Keep(Options):
    keep: Count = Field(0, ge=0, description="Bytes that stay")


def unchanged(footprint: Footprint, _work: Work, keep: int = 0) -> Footprint:
    return footprint


class Applied:
    """An optimizer that writes down the options it was applied with."""

    def __init__(self) -> None:
        self.kept: list[int] = []
        self.spec = OptimizerSpec("keeper", PAINTER, unchanged, self.apply, rung=50, options=Keep)

    def apply(self, component: Any, _device: Any, keep: int) -> Any:
        self.kept.append(keep)
        return component, lambda: None


def hungry(seen: list[Plan], until: Callable[[Plan], bool], error: BaseException) -> StageSpec:
    """A stage that runs out of memory until the plan suits."""

    def run(state: State) -> State:
        seen.append(state[JOB].plan)
        if not until(state[JOB].plan):
            state[JOB].apply("half", True)
            raise error
        return state

    return StageSpec("hungry", run)


def test_options_of_an_optimizer_reach_it_and_another_value_places_anew(
    open_host: Make, plugin: Make
) -> None:
    applied = Applied()
    host = open_host(plugin(register_optimizers=lambda: [applied.spec]))
    for keep in (5, 5, 6):
        host.run(Request(**RING, optimizers=("keeper",), options={"keeper": {"keep": keep}}))
    assert applied.kept == [5, 6]


def test_an_option_of_an_optimizer_is_checked_at_planning(open_host: Make, plugin: Make) -> None:
    host = open_host(plugin(register_optimizers=lambda: [Applied().spec]))
    with pytest.raises(InvalidRequest, match="keeper: keep: "):
        host.plan(Request(**RING, optimizers=("keeper",), options={"keeper": {"keep": -1}}))


def test_options_of_an_optimizer_that_may_yet_be_added_are_no_mistake(open_host: Make, plugin: Make) -> None:
    host = open_host(plugin(register_optimizers=lambda: [Applied().spec]))
    asked = {**RING, "options": {"keeper": {"keep": 1}}}
    assert host.plan(Request(**asked)).optimizers == ()
    with pytest.raises(UnknownName, match="owner of options 'keeper'"):
        host.plan(Request(**asked, memory="off"))


@pytest.mark.parametrize("lacking", ["estimate", "apply"])
def test_an_optimizer_whose_function_lacks_a_declared_option_fails(
    plugin: Make, config: Any, lacking: str
) -> None:
    from latentry import Host

    changes: dict[str, Any] = {lacking: lambda first, second: None}
    spec = replace(Applied().spec, **changes)
    with Host([plugin(register_optimizers=lambda: [spec])], config) as host:
        assert "declares the option 'keep'" in (host.records[-1].reason or "")


def test_an_optimizer_can_be_asked_for_one_component(open_host: Make, plugin: Make) -> None:
    anything = OptimizerSpec("any", frozenset({"*"}), unchanged, lambda c, d: (c, lambda: None))
    host = open_host(plugin(register_optimizers=lambda: [anything, Applied().spec]))
    plan = host.plan(Request(**RING, optimizers=("painter=any", "keeper")))
    assert [spec.parts for spec in plan.optimizers] == [PAINTER, PAINTER]
    assert plan.applied()["optimizers"] == ["painter=any", "painter=keeper"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("unet=keeper", "component to optimize 'unet'; known: painter"), ("painter=x", "unknown optimizer 'x'")],
)
def test_an_unknown_component_or_optimizer_is_named(
    open_host: Make, plugin: Make, text: str, message: str
) -> None:
    host = open_host(plugin(register_optimizers=lambda: [Applied().spec]))
    with pytest.raises(UnknownName, match=message):
        host.plan(Request(**RING, optimizers=(text,)))


def test_a_device_says_anew_what_memory_it_has_at_each_plan(open_host: Make, plugin: Make) -> None:
    free, seen = [3, 2, 1], list[int | None]()
    report = DeviceReport(True, memory=Memory(9, 9), rank=9)
    full = DeviceSpec("full", lambda: report, lambda options: None, frozenset({"toy"}))  # type: ignore[arg-type, return-value]
    full = replace(full, memory=lambda: Memory(9, free[0]))

    def fit(plan: Plan, devices: Any) -> None:
        seen.append(devices["full"].memory.free)

    host = open_host(plugin(register_devices=lambda: [full], fit_memory=fit))
    for _ in range(3):
        host.plan(Request(**RING, place={"*": "full"}))
        free.pop(0) if len(free) > 1 else None
    assert seen == [3, 2, 1]


def test_what_fit_memory_raises_is_told_as_it_is_or_with_the_hooks_name(
    open_host: Make, plugin: Make
) -> None:
    def fit(plan: Plan) -> None:
        if plan.request.steps > 1:
            raise Unavailable("8 GB are too few", fix="ask for less")
        raise ZeroDivisionError

    host = open_host(plugin(fit_memory=fit))
    with pytest.raises(Unavailable, match="8 GB are too few; ask for less"):
        host.plan(Request(**{**RING, "steps": 2}))
    with pytest.raises(PluginError, match="the hook fit_memory failed: ZeroDivisionError"):
        host.plan(Request(**RING))


@pytest.mark.parametrize(
    "error", [OutOfMemory("full"), MemoryError("full")], ids=lambda error: type(error).__name__
)
def test_a_job_runs_again_by_the_plan_that_retry_job_gives(
    open_host: Make, staged: Make, plugin: Make, spy: Any, error: BaseException
) -> None:
    seen = list[Plan]()
    applied = Applied()

    def retry(plan: Plan, optimizers: Any, error: Any) -> Plan | None:
        added = tuple(spec for spec in optimizers.values() if spec.name == "keeper")
        options = {**plan.options, ("OptimizerSpec", "keeper"): Keep(keep=4)}
        return replace(plan, optimizers=added, options=options) if not plan.optimizers else None

    task = TaskSpec("loading", ("load", "hungry", "finish"), formats=("x",), model="toy")
    own = plugin(register_optimizers=lambda: [applied.spec], register_tasks=lambda: [task], retry_job=retry)
    host = open_host(staged(hungry(seen, lambda plan: bool(plan.optimizers), error)), spy.plugin(), own)
    result = host.run(Request(task="loading", place={"*": "spy"}))
    assert [len(plan.optimizers) for plan in seen] == [0, 1]
    assert seen[0].seeds == seen[1].seeds
    assert [what for what in spy.seen if not what.endswith("activate")] == [
        "open",
        "place",
        "unplace",
        "place",
    ]
    assert (applied.kept, result.applied["optimizers"]) == ([4], ["painter=keeper"])
    assert "half" not in result.applied


@pytest.mark.parametrize("error", [OutOfMemory("full", fix="ask for less"), MemoryError()], ids=repr)
def test_a_job_that_no_plan_makes_fit_ends_with_its_error(
    open_host: Make, staged: Make, plugin: Make, error: BaseException
) -> None:
    seen = list[Plan]()
    host = open_host(
        staged(hungry(seen, lambda plan: False, error)),
        plugin(
            retry_job=lambda plan: (
                replace(plan, notes=(*plan.notes, "again")) if len(plan.notes) < 2 else None
            )
        ),
    )
    with pytest.raises(type(error)):
        host.run(Request(task="staged"))
    assert [len(plan.notes) for plan in seen] == [0, 1, 2]
    assert host.run(Request(**RING)).artifacts


def test_what_the_first_try_held_is_let_go_before_the_second(
    open_host: Make, staged: Make, plugin: Make
) -> None:
    class Large:
        pass

    held = list["weakref.ref[Large]"]()
    alive = list[bool]()

    def run(state: State) -> State:
        alive.extend(reference() is not None for reference in held)
        if held:
            return state
        large = Large()
        held.append(weakref.ref(large))
        raise OutOfMemory("full")

    host = open_host(staged(StageSpec("large", run)), plugin(retry_job=lambda plan: plan))
    gc.disable()
    try:
        host.run(Request(task="staged"))
    finally:
        gc.enable()
    assert alive == [False]


def test_a_fallback_takes_the_place_of_a_device_that_is_not_there(
    open_host: Make, plugin: Make, spy: Any
) -> None:
    gone = DeviceSpec("gone", lambda: DeviceReport(False, "no chip"), spy.open, frozenset({"toy"}))
    host = open_host(plugin(register_devices=lambda: [gone]), spy.plugin())
    asked = {**RING, "place": {"*": "gone"}}
    with pytest.raises(Unavailable, match=r"no device runs toy components \(gone: no chip\)"):
        host.plan(Request(**asked))
    assert host.plan(Request(**asked, fallback=("spy", "toy"))).placements["painter"].device == "spy"
    with pytest.raises(UnknownName, match="known: gone, spy, toy"):
        host.plan(Request(**asked, fallback=("other",)))


def test_a_fallback_must_run_the_models_components(open_host: Make, plugin: Make, spy: Any) -> None:
    other = DeviceSpec("other", lambda: DeviceReport(True), spy.open, frozenset({"torch"}))
    host = open_host(plugin(register_devices=lambda: [other]))
    for place in ({}, {"*": "toy"}):
        with pytest.raises(UnknownName, match="device for toy components 'other'; known: toy"):
            host.plan(Request(**RING, place=place, fallback=("other",)))


def test_a_quantizer_is_refused_where_its_scheme_does_not_run(open_host: Make, plugin: Make) -> None:
    spec = QuantizerSpec("q", ("a", "b"), PAINTER, lambda c, s: c, devices={"b": frozenset({"chip"})})
    host = open_host(plugin(register_quantizers=lambda: [spec]))
    assert host.plan(Request(**RING, quantize={"painter": "q:a"}))
    with pytest.raises(UnknownName, match="unknown device for q:b 'toy'; known: chip"):
        host.plan(Request(**RING, quantize={"painter": "q:b"}))


def test_a_component_that_is_stored_quantized_keeps_its_scheme(
    open_host: Make, plugin: Make, toy_family: Make, model_folder: Make
) -> None:
    model_folder("small", _class_name="Small")

    def detect(header: Any) -> Any:
        same = replace(header, index={"_class_name": "ToyPainter", "spread": 0.1})
        found = painter.detect(same) if header.index.get("_class_name") == "Small" else None
        return found and replace(found, quantized={"painter": "toy-round:int1"})

    host = open_host(plugin(register_models=lambda: [toy_family(name="small", detect=detect)]))
    plan = host.plan(Request(**RING, model="small"))
    assert plan.applied()["quantizers"] == {"painter": "toy-round:int1"}
    with pytest.raises(UnknownName, match="quantizer for painter 'toy-round:int8'; known: toy-round:int1"):
        host.plan(Request(**RING, model="small", quantize={"painter": "toy-round:int8"}))
