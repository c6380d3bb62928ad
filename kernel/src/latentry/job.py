"""One running job, as its stages see it."""

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from latentry.errors import Cancelled
from latentry.events import Event
from latentry.plan import O, Plan


@dataclass(frozen=True)
class Job:
    """A plan under way: its id, a way to tell of events, a way to stop it, and its undos.

    `undos` is closed when the job ends, however it ends.
    """

    id: str
    plan: Plan
    notify: Callable[[Event], None]
    undos: ExitStack = field(default_factory=ExitStack)
    _cancel: threading.Event = field(default_factory=threading.Event)
    _warnings: list[str] = field(default_factory=list)
    _applied: dict[str, Any] = field(default_factory=dict)

    def options(self, kind: type[O]) -> O:
        """The options declared as `kind`, parsed at planning."""
        return self.plan.options_of(kind)

    def cancel(self) -> None:
        """Ask the job to stop; it does at its next step or stage."""
        self._cancel.set()

    def check_cancelled(self) -> None:
        """Raise `Cancelled` if the job was asked to stop."""
        if self._cancel.is_set():
            raise Cancelled(f"job {self.id} was cancelled")

    def warn(self, message: str) -> None:
        """Tell the user something about the result that was not asked for."""
        if message not in self._warnings:
            self._warnings.append(message)

    def apply(self, name: str, value: Any) -> None:
        """Report under `name` what was done, beside what was asked; `value` is JSON-able."""
        self._applied[name] = value

    @property
    def warnings(self) -> tuple[str, ...]:
        """What `warn` was told, once each."""
        return tuple(self._warnings)

    @property
    def applied(self) -> Mapping[str, Any]:
        """The plan's account of itself and what `apply` added."""
        return {**self.plan.applied(), **self._applied}
