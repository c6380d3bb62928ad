"""Models are asked for by name alone, also where a plugin's option names one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import latentry_toy
from latentry_api.naming import check_names
from latentry_sdk import (
    Component,
    Device,
    Footprint,
    Host,
    InvalidRequest,
    OptimizerSpec,
    Options,
    Reference,
    Request,
    StageSpec,
    State,
    Undo,
    UnknownName,
    Work,
    hookimpl,
)


class SecondOptions(Options):
    """A plugin's own model, which may be left out."""

    second: Reference | None = None
    note: str = ""
    cache: Path | None = None


def unchanged(state: State) -> State:
    return state


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    return [StageSpec("second", unchanged, options=SecondOptions)]


class CachingOptions(Options):
    """An optimizer's folder."""

    folder: Path = Path("here")


def estimate(footprint: Footprint, _work: Work, *, folder: Path) -> Footprint:
    return footprint


def apply(component: Component, _device: Device, *, folder: Path) -> tuple[Component, Undo]:
    return component, lambda: None


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    return [OptimizerSpec("caching", frozenset({"*"}), estimate, apply, options=CachingOptions)]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    plugin = SimpleNamespace(register_stages=register_stages, register_optimizers=register_optimizers)
    with Host([latentry_toy, plugin]) as host:
        yield host


@pytest.mark.parametrize(
    "named", [{}, {"second": None}, {"second": "toy"}, {"note": "/etc/passwd"}, {"second": 5}]
)
def test_a_listed_name_passes_and_other_options_are_not_looked_at(host: Host, named: dict[str, Any]) -> None:
    check_names(Request(task="toy", model="toy", options={"second": named}), host)


@pytest.mark.parametrize("path", ["/etc/passwd", "../toy", "~/model", "toy/../toy", "model.safetensors"])
def test_a_path_in_an_option_is_an_unknown_name(host: Host, path: str) -> None:
    with pytest.raises(UnknownName, match="known: toy"):
        check_names(Request(task="toy", options={"second": {"second": path}}), host)


@pytest.mark.parametrize("options", [{"second": {"cache": "/tmp"}}, {"caching": {"folder": "/tmp"}}], ids=str)
def test_an_option_that_is_a_path_is_no_clients_matter(host: Host, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="is set by who runs the server; leave it out"):
        check_names(Request(task="toy", optimizers=("caching",), options=options), host)


def test_no_client_chooses_the_folder_of_an_installed_plugin() -> None:
    """Those of engines that keep what they convert."""
    with Host() as host:
        for owner, option in (("openvino", "cache"), ("onnxruntime", "cache"), ("compile", "cache")):
            with pytest.raises(InvalidRequest, match=f"{owner}.{option}"):
                check_names(Request(task="txt2img", options={owner: {option: "/etc"}}), host)
