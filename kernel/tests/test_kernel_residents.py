"""What stays between jobs: open devices, the last model, and where it is placed."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from latentry import Host, Request
from latentry.errors import InvalidModel, PluginError
from latentry.events import Event, ModelLoaded
from latentry_sdk import Component, Count, Device, OptimizerSpec, Options, QuantizerSpec
from latentry_toy import painter

Make = Callable[..., Any]
ANY = frozenset({"*"})


class Threads(Options):
    threads: Count = 1


class Runs:
    """Runs toy jobs on one host and counts how often weights are read."""

    def __init__(self, host: Host, **fields: Any) -> None:
        self.host, self.fields, self.loads = host, {"task": "toy", "prompt": "ring", "steps": 1, **fields}, 0

    def __call__(self, **fields: Any) -> None:
        self.host.run(Request(**{**self.fields, **fields}), on_event=self.listen)

    def listen(self, event: Event) -> None:
        self.loads += isinstance(event, ModelLoaded)


def marking(name: str, seen: list[str]) -> OptimizerSpec:
    """An optimizer that writes down when it is applied and undone."""

    def apply(component: Component, device: Device) -> tuple[Component, Callable[[], None]]:
        seen.append(f"apply {name}")
        return component, lambda: seen.append(f"undo {name}")

    return OptimizerSpec(name, ANY, lambda footprint, work: footprint, apply)


@pytest.fixture
def runs(open_host: Make, spy: Any, plugin: Make) -> Runs:
    """Jobs on the spy, with two optimizers that write into the spy's list."""
    optimizers = [marking("one", spy.seen), marking("two", spy.seen)]
    host = open_host(spy.plugin(options=Threads), plugin(register_optimizers=lambda: optimizers))
    return Runs(host, place={"*": "spy"})


def work(spy: Any) -> list[str]:
    """What was done but for entering and leaving jobs; forgets it."""
    seen = [what for what in spy.seen if not what.endswith("activate")]
    spy.seen.clear()
    return seen


def test_a_model_is_loaded_and_placed_once(runs: Runs, spy: Any) -> None:
    for seed in range(3):
        runs(seed=seed)
    assert runs.loads == 1
    assert work(spy) == ["open", "place"]


def test_other_optimizers_are_undone_and_the_model_is_placed_again_but_not_read(runs: Runs, spy: Any) -> None:
    runs(optimizers=("one", "two"))
    assert work(spy) == ["open", "apply one", "apply two", "place"]
    runs(optimizers=("two",))
    assert work(spy) == ["unplace", "undo two", "undo one", "apply two", "place"]
    runs()
    assert work(spy) == ["unplace", "undo two", "place"]
    assert runs.loads == 1


def test_an_optimizer_is_applied_to_the_component_as_it_was_loaded(
    open_host: Make, plugin: Make, spy: Any
) -> None:
    def wrap(component: Component, device: Device) -> tuple[Component, Callable[[], None]]:
        return replace(component, module=lambda *arrays: component.module(*arrays)), lambda: None

    wrapping = OptimizerSpec("wrap", ANY, lambda footprint, work: footprint, wrap)
    run = Runs(open_host(spy.plugin(), plugin(register_optimizers=lambda: [wrapping])), place={"*": "spy"})
    for optimizers in ((), ("wrap",), ()):
        run(optimizers=optimizers)
    first, second, third = spy.components
    assert first.module is third.module
    assert second.module is not first.module


def test_other_options_of_a_device_open_it_again(runs: Runs, spy: Any) -> None:
    runs()
    work(spy)
    runs(options={"spy": {"threads": 2}})
    assert work(spy) == ["unplace", "close", "open", "place"]
    runs(options={"spy": {"threads": 2}})
    assert work(spy) == []
    assert runs.loads == 1


def test_another_placement_moves_the_model_without_reading_it(runs: Runs, spy: Any) -> None:
    runs()
    runs(place={"*": "toy"})
    assert work(spy) == ["open", "place", "unplace"]
    assert runs.loads == 1


def test_another_quantizer_reads_the_model_anew(runs: Runs) -> None:
    for scheme in ("int8", "int8", "int1"):
        runs(quantize={"painter": f"toy-round:{scheme}"})
    runs()
    assert runs.loads == 3


def test_a_quantizer_changes_the_weights_that_are_placed(runs: Runs, spy: Any) -> None:
    runs()
    runs(quantize={"painter": "toy-round:int8"})
    plain, rounded = spy.components
    assert plain.module.weights != rounded.module.weights
    assert plain.digest() != rounded.digest()


def test_a_file_that_was_replaced_is_read_anew(runs: Runs, model_folder: Make) -> None:
    folder = model_folder("mine")
    for _ in range(2):
        runs(model="mine")
    assert runs.loads == 1
    os.utime(folder / "model_index.json", ns=(1, 1))
    runs(model="mine")
    assert runs.loads == 2


def test_a_file_that_changes_while_it_is_read_is_an_invalid_model(
    open_host: Make, plugin: Make, model_folder: Make, toy_family: Make
) -> None:
    folder = model_folder("moving", _class_name="Moving")

    def detect(header: Any) -> Any:
        same = replace(header, index={"_class_name": "ToyPainter", "spread": 0.1})
        return painter.detect(same) if header.index.get("_class_name") == "Moving" else None

    def load(header: Any, detected: Any) -> Any:
        os.utime(folder / "model_index.json", ns=(1, 1))
        return painter.load(header, detected)

    family = toy_family(name="moving", detect=detect, load=load)
    host = open_host(plugin(register_models=lambda: [family]))
    with pytest.raises(InvalidModel, match="moving changed while it was read; run it again"):
        host.run(Request(task="toy", prompt="ring", model="moving"))


@pytest.mark.parametrize(
    ("load", "error", "message"),
    [
        (lambda header, detected: {}[0], InvalidModel, "loading bad failed: KeyError: 0"),
        (lambda header, detected: {}, PluginError, "loaded other components than it detected"),
    ],
    ids=["raises", "other components"],
)
def test_a_load_that_fails_names_its_model_or_family_and_the_next_job_works(
    open_host: Make, plugin: Make, model_folder: Make, toy_family: Make, load: Any, error: Any, message: str
) -> None:
    model_folder("bad", _class_name="Bad")

    def detect(header: Any) -> Any:
        same = replace(header, index={"_class_name": "ToyPainter", "spread": 0.1})
        return painter.detect(same) if header.index.get("_class_name") == "Bad" else None

    host = open_host(plugin(register_models=lambda: [toy_family(name="bad", detect=detect, load=load)]))
    with pytest.raises(error, match=message):
        host.run(Request(task="toy", prompt="ring", model="bad"))
    assert host.run(Request(task="toy", prompt="ring")).artifacts


@pytest.mark.parametrize("kind", ["optimizer", "quantizer"])
def test_a_technique_that_raises_is_a_plugin_error_and_leaves_nothing_behind(
    open_host: Make, plugin: Make, spy: Any, kind: str
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("too clever")

    own = plugin(
        register_optimizers=lambda: [
            marking("one", spy.seen),
            OptimizerSpec("bad", ANY, lambda footprint, work: footprint, fail),
        ],
        register_quantizers=lambda: [QuantizerSpec("bad", ("q",), ANY, fail)],
    )
    run = Runs(open_host(spy.plugin(), own), place={"*": "spy"})
    how = {"optimizers": ("one", "bad")} if kind == "optimizer" else {"quantize": {"painter": "bad"}}
    with pytest.raises(PluginError, match="too clever"):
        run(**how)
    assert work(spy) == ["open", *(["apply one", "undo one"] if kind == "optimizer" else [])]
    run()
    assert work(spy) == ["place"]


def test_a_placement_that_fails_is_undone_and_made_again_next_time(runs: Runs, spy: Any) -> None:
    spy.breaks.add("place")
    with pytest.raises(PluginError):
        runs(optimizers=("one",))
    assert work(spy) == ["open", "apply one", "place", "undo one"]
    spy.breaks.clear()
    runs(optimizers=("one",))
    assert work(spy) == ["apply one", "place"]
    assert runs.loads == 1


def test_closing_a_host_gives_everything_back_and_twice_is_harmless(runs: Runs, spy: Any) -> None:
    runs(optimizers=("one",))
    work(spy)
    runs.host.close()
    runs.host.close()
    assert work(spy) == ["unplace", "undo one", "close"]


def test_a_closed_host_can_be_used_again(runs: Runs, spy: Any) -> None:
    runs()
    runs.host.close()
    runs()
    assert runs.loads == 2
    assert work(spy) == ["open", "place", "unplace", "close", "open", "place"]


def test_closing_gives_the_devices_back_even_if_an_undo_raises(
    open_host: Make, plugin: Make, spy: Any
) -> None:
    def stuck() -> None:
        raise RuntimeError("stuck")

    sticky = OptimizerSpec(
        "sticky", ANY, lambda footprint, work: footprint, lambda component, device: (component, stuck)
    )
    host = open_host(spy.plugin(), plugin(register_optimizers=lambda: [sticky]))
    Runs(host, place={"*": "spy"})(optimizers=("sticky",))
    work(spy)
    with pytest.raises(Exception, match="stuck"):
        host.close()
    assert work(spy) == ["unplace", "close"]
