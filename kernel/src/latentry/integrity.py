"""Notice when a plugin, while it loads, changes the host's own code."""

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from latentry.errors import PluginError

PACKAGES = ("latentry", "latentry_cli", "latentry_sdk")
Snapshot = Sequence[tuple[str, Any, dict[str, Any]]]
"""The name of each module and class, itself, and its attributes."""


def snapshot() -> Snapshot:
    """Every loaded module and class of the host with its attributes."""
    return [(name, owner, dict(vars(owner))) for name, owner in _owners()]


def restore(before: Snapshot) -> None:
    """Put back what changed since `before`, then say what it was with a `PluginError`."""
    changed = []
    for place, owner, known in before:
        now = vars(owner)
        for name, value in known.items():
            if now.get(name) is not value and (name == "__init__" or not name.startswith("__")):
                setattr(owner, name, value)
                changed.append(f"{place}.{name}")
    if changed:
        raise PluginError(
            f"it changed {', '.join(changed[:3])} of the host", fix="use a hook, or wrap run_stage"
        )


def _owners() -> Iterator[tuple[str, Any]]:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PACKAGES and isinstance(module, ModuleType):
            yield name, module
            kinds = [value for value in vars(module).values() if isinstance(value, type)]
            yield from ((f"{name}.{kind.__qualname__}", kind) for kind in kinds if kind.__module__ == name)
