"""Notice when a plugin, while it loads, changes the host's own code."""

import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from latentry.errors import PluginError

PACKAGES = ("latentry", "latentry_cli", "latentry_sdk")


class Guard:
    """Remembers every module and class of the host, with its attributes, from when it was first seen."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, dict[str, Any]]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Put back what changes in here, then say what it was with a `PluginError`."""
        self._known |= {place: (owner, dict(vars(owner))) for place, owner in _owners(but=self._known.keys())}
        try:
            yield
        finally:
            self._restore()

    def _restore(self) -> None:
        changed = []
        for place, (owner, known) in self._known.items():
            now = vars(owner)
            for name, value in known.items():
                if now.get(name) is not value and (name == "__init__" or not name.startswith("__")):
                    setattr(owner, name, value)
                    changed.append(f"{place}.{name}")
        if changed:
            fix = "use a hook, or wrap run_stage"
            raise PluginError(f"it changed {', '.join(changed[:3])} of the host", fix=fix)


def _owners(*, but: Set[str]) -> Iterator[tuple[str, Any]]:
    for name in sys.modules.keys() - but:
        module = sys.modules[name]
        if name.partition(".")[0] in PACKAGES and isinstance(module, ModuleType):
            yield name, module
            kinds = [value for value in vars(module).values() if isinstance(value, type)]
            yield from ((f"{name}.{kind.__qualname__}", kind) for kind in kinds if kind.__module__ == name)
