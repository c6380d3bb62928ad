"""The executor's slots, and who is next in each: one who makes ready while the job before is about to end."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass
class Slot:
    """A place for one job at a time. `name` is what claims are signed with.

    It is held while a job runs, `ending` when that job is about to end, and awaited by who has taken it.
    """

    name: str
    held: bool = False
    ending: bool = False
    awaited: bool = False


class Slots:
    """Every slot; `changed` guards them, and is told of every change."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._slots: list[Slot] = []
        self._ahead = self._closed = False

    def open(self, names: Iterable[str], *, ahead: bool) -> None:
        """Give turns in slots of these names; `ahead` of the end of jobs, or only when they have ended."""
        with self._changed:
            self._slots, self._ahead = [Slot(name) for name in names], ahead
            self._changed.notify_all()

    def take(self) -> "Turn | None":
        """A turn in a free slot, or where there is none in one that is about to be; None when closed."""
        with self._changed:
            while not self._closed:
                if slot := self._next():
                    slot.awaited = True
                    return Turn(slot, self._changed)
                self._changed.wait()
        return None

    def close(self) -> None:
        """Give no more turns."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self) -> Slot | None:
        """None while a free slot is awaited: then nothing waits in the queue."""
        if free := [slot for slot in self._slots if not slot.held]:
            return next((slot for slot in free if not slot.awaited), None)
        return next((slot for slot in self._slots if self._ahead and slot.ending and not slot.awaited), None)


class Turn:
    """The right to be the next in a slot, then to hold it, until `close`."""

    def __init__(self, slot: Slot, changed: threading.Condition) -> None:
        self._slot, self._changed = slot, changed
        self._begun = self._ended = False

    @property
    def name(self) -> str:
        """The slot's name."""
        return self._slot.name

    @property
    def is_ahead(self) -> bool:
        """Whether the job before still runs."""
        return self._slot.held and not self._begun

    def begin(self, seconds: float) -> bool:
        """Hold the slot as soon as it is free; whether it was within so many seconds."""
        with self._changed:
            self._begun = self._changed.wait_for(lambda: not self._slot.held, seconds)
            if self._begun:
                self._slot.held, self._slot.awaited = True, False
                self._changed.notify_all()
            return self._begun

    def ending(self) -> None:
        """Say that the job in the slot is about to end, so that the next one is made ready."""
        with self._changed:
            self._slot.ending = True
            self._changed.notify_all()

    def was_early(self) -> None:
        """Say that the job before did not end after all: nobody is made ready until it has."""
        with self._changed:
            self._slot.ending = False

    def close(self) -> None:
        """Give the slot to the next, or the turn away; once is enough."""
        with self._changed:
            if self._ended:
                return
            self._ended = True
            if self._begun:
                self._slot.held = self._slot.ending = False
            else:
                self._slot.awaited = False
            self._changed.notify_all()
