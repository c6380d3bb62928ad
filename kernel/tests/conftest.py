"""Hosts of a test's own, on the toy and on plugins written where they are used."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import latentry_toy
from latentry import Config, Host
from latentry_sdk import (
    ARTIFACTS,
    Artifact,
    Component,
    DeviceReport,
    DeviceSpec,
    StageSpec,
    TaskSpec,
    hookimpl,
)
from latentry_toy import keeping, painter

Hooks = Mapping[str, Callable[..., Any]]


def make_plugin(name: str = "inline", /, **implementations: Callable[..., Any]) -> object:
    """A plugin object called `name` with these hooks; a function that is marked already stays as it is."""
    marked = {
        hook: function if hasattr(function, "latentry_impl") else hookimpl(function)
        for hook, function in implementations.items()
    }
    return type(name, (), {hook: staticmethod(function) for hook, function in marked.items()})()


def stage_plugin(*stages: StageSpec, name: str = "staged") -> object:
    """A plugin with `stages` and a task `staged` that runs them in order and gives one empty file."""
    last = StageSpec(
        "finish", lambda state: state.put(ARTIFACTS, (Artifact(b"", "a/x", 0),)), gives=(ARTIFACTS,)
    )
    names = tuple(stage.name for stage in (*stages, last))
    task = TaskSpec("staged", names, formats=("x",), model="toy")
    own = [*{stage.name: stage for stage in stages}.values(), last]
    return make_plugin(name, register_stages=lambda: own, register_tasks=lambda: [task])


@dataclass
class Spy:
    """A device for toy components that writes down what happens to it."""

    seen: list[str] = field(default_factory=list)
    components: list[Component] = field(default_factory=list)
    breaks: set[str] = field(default_factory=set)

    def spec(self, name: str = "spy", **more: Any) -> DeviceSpec:
        kinds, report = frozenset({"toy"}), DeviceReport(True, dtypes=("float64",), rank=9)
        return DeviceSpec(name, lambda: report, self.open, kinds, **more)

    def plugin(self, **more: Any) -> object:
        return make_plugin("spying", register_devices=lambda: [self.spec(**more)])

    def open(self, options: Any) -> "SpyDevice":
        self.note("open")
        return SpyDevice(self)

    def note(self, what: str) -> None:
        self.seen.append(what)
        if what in self.breaks:
            raise RuntimeError(f"{what} is broken")


@dataclass
class SpyDevice(keeping.ToyDevice):
    spy: Spy

    def place(self, component: Component, dtype: str | None) -> Any:
        self.spy.components.append(component)
        self.spy.note("place")
        return SpyPlaced(component.module, spy=self.spy)

    @contextmanager
    def activate(self) -> Iterator[None]:
        self.spy.note("activate")
        yield
        self.spy.note("deactivate")

    def close(self) -> None:
        self.spy.note("close")


@dataclass
class SpyPlaced(keeping.ToyPlaced):
    spy: Spy = field(default_factory=Spy)

    def close(self) -> None:
        self.spy.note("unplace")


@pytest.fixture
def plugin() -> Callable[..., object]:
    """Makes a plugin from functions named after hooks."""
    return make_plugin


@pytest.fixture
def staged() -> Callable[..., object]:
    """Makes a plugin with a task of the given stages."""
    return stage_plugin


@pytest.fixture
def spy() -> Spy:
    """A device that writes down what happens to it."""
    return Spy()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration whose folders are the test's own."""
    return Config(models_dir=tmp_path / "models", data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")


@pytest.fixture
def open_host(config: Config) -> Iterator[Callable[..., Host]]:
    """Opens a host on the toy and the given plugins, all of which must load, and closes it after the test."""
    with ExitStack() as opened:

        def open_one(*plugins: object, **changes: Any) -> Host:
            settings = Config.model_validate({**dict(config), **changes})
            host = opened.enter_context(Host([latentry_toy, *plugins], settings))
            assert [record.reason for record in host.records if record.status != "active"] == []
            return host

        yield open_one


@pytest.fixture
def toy_family() -> Callable[..., Any]:
    """The toy's model family with fields changed."""
    return lambda **changes: replace(latentry_toy.register_models()[0], **changes)


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a copy of the toy's model in the models folder, with entries of its index changed."""

    def make(name: str, **changes: Any) -> Path:
        folder = tmp_path / "models" / name
        shutil.copytree(painter.MODEL, folder)
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps({**index, **changes}))
        return folder

    return make
