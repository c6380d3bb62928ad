"""Count what placed components are called with, without changing what they give."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from latentry_sdk import JOB, PLACED, Placed, State

OWNER = "bench"
"""Under `[options.bench]`, `count = true` has jobs count; a job's account is in `applied` by this name."""

LOAD = "load"
"""The kernel's stage that puts the job's own model on its devices."""


@dataclass
class Counted:
    """A placed component that notes the shapes of its arguments; all else is the component's own."""

    inner: Placed
    calls: Counter[str] = field(default_factory=Counter)

    def __call__(self, *arrays: Any) -> Any:
        """What the component gives."""
        self.calls[json.dumps([_shape(array) for array in arrays])] += 1
        return self.inner(*arrays)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def is_counted(state: State) -> bool:
    """Whether the configuration asks for it."""
    given: Mapping[str, Any] = state[JOB].plan.config.options.get(OWNER, {})
    return given.get("count") is True


def counted(state: State) -> State:
    """The state with components that count; the job's `applied` has what they have counted up to its end.

    By component: `calls` maps the arguments' types and shapes, as JSON, to how often they came; `home` is the
    torch device, and `changeable` says that it runs torch modules as they are.
    """
    placed = {name: Counted(part) for name, part in state[PLACED].items()}
    account = {
        name: {"calls": part.calls, "home": part.home, "changeable": hasattr(part.inner, "module")}
        for name, part in placed.items()
    }
    state[JOB].apply(OWNER, account)
    return state.put(PLACED, placed)


def _shape(array: Any) -> tuple[str, list[int]]:
    """The type and shape; the work does not depend on the type of floats, so all of them are float32."""
    name = str(getattr(array, "dtype", "")).removeprefix("torch.")
    return "float32" if "float" in name else name, [*getattr(array, "shape", ())]
