"""A plugin is taken whole or not at all, and one that fails leaves the others active."""

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import click
import pytest

from latentry import discovery, engine, errors
from latentry.config import Config
from latentry.loader import Candidate, Loader, PluginRecord
from latentry_cli.doctor import unmet
from latentry_sdk import DeviceReport, DeviceSpec, Options, SamplerSpec, SchedulerSpec, TaskSpec, hookimpl

Make = Callable[..., object]


def sampler(name: str = "good", **more: Any) -> SamplerSpec:
    return SamplerSpec(name, lambda denoise, x, sigmas, *, on_step: x, **more)


def device(name: str = "place") -> DeviceSpec:
    return DeviceSpec(name, lambda: DeviceReport(True), lambda options: None)  # type: ignore[arg-type, return-value]


@pytest.fixture
def loader() -> Loader:
    return Loader(seconds=5)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set at the end, so that threads of a plugin that hangs go away."""
    event = threading.Event()
    yield event
    event.set()


def load(loader: Loader, plugin: object, name: str = "mine", **more: Any) -> PluginRecord:
    """The record of a plugin that is loaded by itself and in whole."""
    loader.add(Candidate(name, plugin if callable(plugin) else lambda: plugin, **more))
    return loader.records[-1]


def raising(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def test_a_good_plugin_is_active_and_says_what_it_provides(loader: Loader, plugin: Make) -> None:
    good = plugin(register_samplers=lambda: [sampler("a"), sampler("b")], on_event=lambda event: None)
    record = load(loader, good, distribution="latentry-good", version="1.2")
    assert (record.status, record.reason, record.fix) == ("active", None, None)
    assert record.provides == {"register_samplers": ("a", "b"), "on_event": ()}
    assert (record.distribution, record.version) == ("latentry-good", "1.2")
    assert loader.registry.samplers.owners == {"a": "mine", "b": "mine"}


@pytest.mark.parametrize(
    "error",
    [
        ImportError("no module named torch"),
        ZeroDivisionError("division"),
        SystemExit(3),
        KeyboardInterrupt(),
        MemoryError(),
    ],
    ids=repr,
)
def test_whatever_an_import_raises_is_the_reason(loader: Loader, error: BaseException) -> None:
    record = load(loader, raising(error))
    assert record.status == "failed"
    assert record.reason is not None
    assert type(error).__name__ in record.reason
    assert record.fix


def test_a_syntax_error_says_where_it_is(
    loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad_syntax_plugin.py").write_text("def x(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    record = load(loader, lambda: importlib.import_module("bad_syntax_plugin"))
    assert record.status == "failed"
    assert "SyntaxError" in (record.reason or "")
    assert "bad_syntax_plugin.py, line 1" in (record.reason or "")


def give_wrong(value: object) -> dict[str, Callable[..., Any]]:
    return {"register_samplers": lambda: value}


class Needy(Options):
    depth: int = 1


FAILING: dict[str, tuple[dict[str, Callable[..., Any]], str]] = {
    "an unknown hook": ({"register_sampler": lambda: [sampler()]}, "register_samplers"),
    "an unknown argument": ({"find_model": lambda ref, nonsense: None}, "nonsense"),
    "no hook": ({}, "implements no hook"),
    "a hook that raises": (
        {"register_samplers": raising(ZeroDivisionError("oops"))},
        "ZeroDivisionError: oops",
    ),
    "a hook that exits": ({"register_samplers": raising(SystemExit(1))}, "SystemExit"),
    "a spec of another kind": (give_wrong([device()]), "is no SamplerSpec"),
    "no spec": (give_wrong(["euler"]), "'euler', which is no SamplerSpec"),
    "no sequence": (give_wrong(sampler()), "TypeError"),
    "an option its sampler lacks": (give_wrong([sampler(options=Needy)]), "'depth'"),
    "an option its schedule lacks": (
        {"register_schedulers": lambda: [SchedulerSpec("s", lambda n, r: (1.0, 0.0), options=Needy)]},
        "'depth'",
    ),
    "a bad name": ({"register_samplers": lambda: [sampler("No Name")]}, "'No Name' is no name"),
    "one name twice": (give_wrong([sampler(), sampler()]), "'good'"),
    "a command of the host": (
        {"register_commands": lambda cli: cli.add_command(click.Command("doctor"))},
        "'doctor'",
    ),
    "a task called like a command": ({"register_tasks": lambda: [TaskSpec("plugins", ())]}, "'plugins'"),
}


@pytest.mark.parametrize(("hooks", "reason"), FAILING.values(), ids=FAILING)
def test_a_plugin_that_breaks_its_contract_fails_alone(
    loader: Loader, plugin: Make, hooks: dict[str, Callable[..., Any]], reason: str
) -> None:
    load(loader, plugin(register_samplers=lambda: [sampler("before")]), "first")
    record = load(loader, plugin(**hooks))
    load(loader, plugin(register_samplers=lambda: [sampler("after")]), "last")
    assert [one.status for one in loader.records] == ["active", "failed", "active"]
    assert reason in (record.reason or "")
    assert "\n" not in (record.reason or "")
    assert record.fix
    assert record.provides == {}
    assert set(loader.registry.samplers) == {"before", "after"}


def test_of_a_plugin_with_one_duplicate_nothing_is_taken(loader: Loader, plugin: Make) -> None:
    load(loader, plugin(register_samplers=lambda: [sampler()]), "first")
    heard: list[object] = []
    second = plugin(
        register_devices=lambda: [device()],
        register_samplers=lambda: [sampler("new"), sampler("good")],
        register_commands=lambda cli: cli.add_command(click.Command("greet")),
        on_event=lambda event: heard.append(event),
        find_model=lambda ref: Path("evil"),
    )
    record = load(loader, second, "second")
    assert record.status == "failed"
    assert "'first'" in (record.reason or "")
    assert "'second'" in (record.reason or "")
    assert set(loader.registry.samplers) == {"good"}
    assert not loader.registry.devices
    assert not loader.commands
    loader.manager.hook.on_event(event=None)
    assert not heard
    assert loader.manager.hook.find_model(ref="x") is None


def test_a_second_plugin_of_the_same_name_fails_and_names_both_distributions(
    loader: Loader, plugin: Make
) -> None:
    for distribution in ("latentry-a", "latentry-b"):
        one = plugin(register_samplers=lambda name=distribution: [sampler(name)])
        record = load(loader, one, distribution=distribution)
    assert record.status == "failed"
    assert "'latentry-a' and 'latentry-b'" in (record.reason or "")


def test_two_plugins_cannot_give_one_command(loader: Loader, plugin: Make) -> None:
    greeting = plugin(register_commands=lambda cli: cli.add_command(click.Command("greet")))
    assert load(loader, greeting, "first").provides == {"register_commands": ("greet",)}
    assert load(loader, greeting, "second").status == "failed"


def test_an_import_that_takes_too_long_fails_with_what_to_do(plugin: Make, release: threading.Event) -> None:
    loader = Loader(seconds=0.05)
    record = load(loader, lambda: release.wait(20) and object())
    assert record.status == "failed"
    assert record.reason == "it took more than 0.05 s"
    assert record.fix == "move slow work out of import and hooks"
    assert load(loader, plugin(register_samplers=lambda: [sampler()]), "next").status == "active"


def test_a_hook_that_takes_too_long_fails_and_is_not_taken_later(
    plugin: Make, release: threading.Event
) -> None:
    loader, finished = Loader(seconds=0.05), threading.Event()

    def late() -> list[SamplerSpec]:
        release.wait(20)
        finished.set()
        return [sampler()]

    assert load(loader, plugin(register_samplers=late)).status == "failed"
    release.set()
    assert finished.wait(5)
    assert not loader.registry.samplers
    assert not loader.manager.get_plugins()


def test_what_a_plugin_changes_of_the_host_is_put_back(loader: Loader, plugin: Make) -> None:
    real_run, real_init, real_list = engine.run, errors.UnknownName.__init__, errors.__dict__["shown"]

    def patch() -> object:
        engine.run = None  # type: ignore[assignment]
        errors.UnknownName.__init__ = lambda self: None  # type: ignore[method-assign]
        del errors.shown
        return plugin(register_samplers=lambda: [sampler()])

    record = load(loader, patch)
    assert record.status == "failed"
    assert "of the host" in (record.reason or "")
    assert engine.run is real_run
    assert errors.UnknownName.__init__ is real_init
    assert errors.shown is real_list
    assert not loader.registry.samplers


def test_changes_of_the_host_are_put_back_after_a_failure_too(loader: Loader) -> None:
    real_run = engine.run

    def patch() -> object:
        engine.run = None  # type: ignore[assignment]
        raise ImportError("and then it failed")

    assert load(loader, patch).status == "failed"
    assert engine.run is real_run


def test_a_disabled_plugin_is_not_imported(loader: Loader) -> None:
    record = load(loader, raising(AssertionError("it was imported")), disabled=True)
    assert (record.status, record.reason) == ("disabled", "not enabled in the configuration")


def test_a_plugin_for_another_version_is_not_imported(loader: Loader) -> None:
    never = raising(AssertionError("it was imported"))
    record = load(loader, never, clash="needs latentry>=9, found 0.1.0", distribution="latentry-x")
    assert (record.status, record.reason) == ("incompatible", "needs latentry>=9, found 0.1.0")
    assert record.fix == "pip install --upgrade latentry-x"


def install(folder: Path, distribution: str, entry_points: str, *requires: str) -> None:
    """Put the metadata of an installed distribution below `folder`."""
    info = folder / f"{distribution.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(exist_ok=True)
    lines = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 0.1.0"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires), ""]))
    (info / "entry_points.txt").write_text(f"[latentry]\n{entry_points}\n" if entry_points else "")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder where distributions are found, with the kernel in it."""
    install(tmp_path, "latentry", "")
    for name in ("one", "two"):
        module = f"site_{name}"
        text = "from latentry_sdk import hookimpl\n@hookimpl\ndef on_event(event): pass\n"
        (tmp_path / f"{module}.py").write_text(text)
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(discovery, "entry_points", lambda group: entry_points_in(tmp_path, group))
    return tmp_path


def entry_points_in(folder: Path, group: str) -> Any:
    found = distributions(path=[str(folder)])
    return [point for one in found for point in one.entry_points if point.group == group]


def statuses(config: Config) -> dict[str, tuple[str, str | None]]:
    loader = Loader(seconds=5)
    for candidate in discovery.installed(config):
        loader.add(candidate)
    return {record.name: (record.status, record.reason) for record in loader.records}


def test_installed_plugins_are_found_by_their_entry_points(site: Path) -> None:
    install(site, "latentry-two", "two = site_two", "latentry>=0.1,<0.2")
    install(site, "latentry-one", "one = site_one")
    assert statuses(Config()) == {"one": ("active", None), "two": ("active", None)}


def test_a_requirement_on_another_kernel_makes_a_plugin_incompatible(site: Path) -> None:
    install(site, "latentry-one", "one = missing_module", "click>=1", "Latentry>=2")
    install(site, "latentry-two", "two = site_two")
    found = statuses(Config())
    assert found["two"] == ("active", None)
    assert found["one"][0] == "incompatible"
    assert "needs" in (found["one"][1] or "")
    assert "found 0.1.0" in (found["one"][1] or "")


def test_metadata_that_cannot_be_read_fails_one_plugin(site: Path) -> None:
    install(site, "latentry-one", "one = site_one", "latentry >>> 1 or so")
    install(site, "latentry-two", "two = site_two")
    found = statuses(Config())
    assert found["two"] == ("active", None)
    assert found["one"][0] in ("failed", "incompatible")


def test_the_configuration_says_which_plugins_are_loaded(site: Path) -> None:
    install(site, "latentry-one", "one = site_one")
    install(site, "latentry-two", "two = site_two")
    assert statuses(Config(plugins=("one",)))["two"][0] == "disabled"
    assert statuses(Config(plugins=()))["one"][0] == "disabled"
    assert statuses(Config(disabled=("one",)))["one"][0] == "disabled"
    assert statuses(Config(plugins=("one",), disabled=("one",)))["one"][0] == "disabled"


def test_unmet_requirements_are_told_in_words(site: Path) -> None:
    install(
        site, "latentry-one", "", "latentry>=3", "no-such-thing>=1", 'windows-thing; sys_platform == "win32"'
    )
    assert unmet("latentry-one") == [
        "needs latentry>=3, found 0.1.0",
        "needs no-such-thing>=1, which is not installed",
    ]


def test_a_plugin_object_given_to_a_host_is_named_after_its_class(plugin: Make) -> None:
    names = [candidate.name for candidate in discovery.given([plugin("fancy", on_event=lambda event: None)])]
    assert names == ["fancy"]


def test_a_hook_marked_by_the_sdk_is_the_kernels_own() -> None:
    assert hookimpl.project_name == "latentry"
