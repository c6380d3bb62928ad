"""Notice when a plugin, while it loads, changes the host's own code."""

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from latentry.errors import PluginError

Snapshot = Mapping[tuple[str, str], tuple[Any, Any]]
"""(place, attribute) to (the object that has it, its value)."""


def snapshot() -> Snapshot:
    """Every attribute of every loaded module and class of the kernel and the sdk."""
    return dict(_attributes())


def restore(before: Snapshot) -> None:
    """Put back what changed since `before`, then say what it was with a `PluginError`."""
    changed = [key for key, (owner, value) in before.items() if vars(owner).get(key[1]) is not value]
    for key in changed:
        owner, value = before[key]
        setattr(owner, key[1], value)
    if changed:
        names = ", ".join(".".join(key) for key in changed[:3])
        raise PluginError(f"it changed {names} of the host", fix="use a hook, or wrap run_stage")


def _attributes() -> Iterator[tuple[tuple[str, str], tuple[Any, Any]]]:
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] not in ("latentry", "latentry_sdk") or not isinstance(module, ModuleType):
            continue
        for attribute, value in list(vars(module).items()):
            if attribute.startswith("__"):
                continue
            yield (name, attribute), (module, value)
            if isinstance(value, type) and value.__module__ == name:
                yield from _methods(name, value)


def _methods(module: str, kind: type) -> Iterator[tuple[tuple[str, str], tuple[Any, Any]]]:
    for attribute, value in list(vars(kind).items()):
        if callable(value) and (attribute == "__init__" or not attribute.startswith("__")):
            yield (f"{module}.{kind.__qualname__}", attribute), (kind, value)
