"""Look at the memory of a job's devices while it runs: say how little was left, and end it before none is."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from latentry_memory.budgets import MemoryOptions, options_of
from latentry_sdk import DEVICES, JOB, Device, Event, Job, Key, OutOfMemory, State
from latentry_sdk.machine import system_memory

log = logging.getLogger("latentry.memory")

LEFT = "memory_left"
"""By this name a result's `applied` tells the least bytes that were free on each device."""


@dataclass
class Watch:
    """Looks every few moments, in a thread of its own.

    `lack` says, in words, that the machine itself has less than the floor, for as long as that is so.
    """

    devices: Mapping[str, Device]
    options: MemoryOptions
    left: dict[str, int] = field(default_factory=dict)
    lack: str | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, unless the options say never."""
        self.look()
        if self.options.every:
            self._thread = threading.Thread(target=self._look_on, name="latentry-memory", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more; may be called twice."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> None:
        """Note what is free now."""
        host, lack = system_memory().total, None
        for name, device in self.devices.items():
            memory = device.memory()
            if memory.free is None or memory.total is None:
                continue
            self.left[name] = min(memory.free, self.left.get(name, memory.free))
            floor = int(self.options.floor * memory.total)
            if memory.total == host and memory.free < floor:
                lack = f"{name} has {memory.free >> 20} MiB left, and jobs end below {floor >> 20} MiB"
        self.lack = lack

    def check(self) -> None:
        """Raise `OutOfMemory` where there is a lack: the system would end the process next."""
        if self.lack is not None:
            raise OutOfMemory(self.lack, fix="ask for a smaller picture or batch, or close other programs")

    def _look_on(self) -> None:
        try:
            while not self._ended.wait(self.options.every):
                self.look()
        except Exception:
            log.exception("the memory is not looked at any longer")


WATCH = Key[Watch]("memory.watch")


def watch_of(state: State) -> Watch:
    """The job's watch, which begins with its first stage and ends with the job."""
    found = state.get(WATCH)
    if found is None:
        job = state[JOB]
        found = Watch(state.get(DEVICES) or {}, options_of(job.plan))
        job.undos.callback(found.stop)
        found.start()
    found.check()
    return found


def watched(state: State, watch: Watch) -> State:
    """The state after a stage, with the watch and with a job that it ends in its next step."""
    if WATCH in state:
        return state
    return state.put(WATCH, watch).put(JOB, _checking(state[JOB], watch))


def told(job: Job, watch: Watch) -> None:
    """Report what was left: at the job's end, since a picture's record says nothing of how it was then."""
    job.apply(LEFT, dict(watch.left))


def _checking(job: Job, watch: Watch) -> Job:
    def notify(event: Event) -> None:
        watch.check()
        job.notify(event)

    return replace(job, notify=notify)
