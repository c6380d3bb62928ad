"""Models are asked for by name alone, also where a plugin's option names one."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

import latentry_toy
from latentry_api.naming import check_models
from latentry_sdk import Host, Options, Reference, Request, StageSpec, State, UnknownName, hookimpl


class SecondOptions(Options):
    """A plugin's own model, which may be left out."""

    second: Reference | None = None
    note: str = ""


def unchanged(state: State) -> State:
    return state


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    return [StageSpec("second", unchanged, options=SecondOptions)]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host([latentry_toy, SimpleNamespace(register_stages=register_stages)]) as host:
        yield host


@pytest.mark.parametrize(
    "named", [{}, {"second": None}, {"second": "toy"}, {"note": "/etc/passwd"}, {"second": 5}]
)
def test_a_listed_name_passes_and_other_options_are_not_looked_at(host: Host, named: dict[str, Any]) -> None:
    check_models(Request(task="toy", model="toy", options={"second": named}), host)


@pytest.mark.parametrize("path", ["/etc/passwd", "../toy", "~/model", "toy/../toy", "model.safetensors"])
def test_a_path_in_an_option_is_an_unknown_name(host: Host, path: str) -> None:
    with pytest.raises(UnknownName, match="known: toy"):
        check_models(Request(task="toy", options={"second": {"second": path}}), host)
