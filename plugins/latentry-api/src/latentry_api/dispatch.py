"""Take jobs from the queue and have them run, as many at once as the executor has slots.

There are two threads to a slot. While one has a job run and writes down what it gave, the other has the next
one begin. Where the executor plans jobs again when they begin, it makes that one ready beforehand: it claims
and plans it when the last stage of the job before begins.
"""

import logging
import math
import os
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from latentry_api.attempt import Attempt
from latentry_api.caretaker import LEASE_SECONDS, Caretaker
from latentry_api.hub import Hub
from latentry_api.slots import Slots, Turn
from latentry_api.sweeping import Sweeper
from latentry_sdk import Executor, Host
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import Claim, Queue

log = logging.getLogger(__name__)
IDLE_SECONDS = 1.0
"""How soon a job is seen that another host's clients queued; one's own are seen at once."""


@dataclass
class Dispatcher:
    """Runs queued jobs on the executor until it is drained."""

    host: Host
    queue: Queue
    blobs: Blobs
    executor: Executor
    hub: Hub
    keep_days: float | None = None
    _attempts: dict[str, Attempt] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _slots: Slots = field(init=False)
    _arrivals: int = 0
    _draining: bool = False
    _closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._slots = Slots(self._changed)

    @property
    def slots(self) -> int:
        """Jobs that run at once."""
        return int(getattr(self.executor, "slots", 1))

    def start(self) -> None:
        """Give back what an earlier process left, then begin to take jobs."""
        self.queue.recover()
        name = f"{socket.gethostname()}-{os.getpid()}"
        replans = bool(getattr(self.executor, "replans", False))
        self._slots.open((f"{name}-{slot}" for slot in range(self.slots)), ahead=replans)
        for _ in range(2 * self.slots):
            self._start(self._serve)
        caretaker = Caretaker(self.queue, self.hub, self._attempts, self.wake)
        self._start(caretaker.run, self._closed)
        self._start(Sweeper(self.queue, self.blobs, self.keep_days).run, self._closed)

    def ready(self) -> bool:
        """Whether a job that is queued now would start."""
        if self._draining or not all(thread.is_alive() for thread in self._threads):
            return False
        return bool(getattr(self.executor, "ready", True))

    @property
    def draining(self) -> bool:
        """Whether no more jobs are taken."""
        return self._draining

    def wake(self, priority: int | None = None) -> None:
        """Say that there is a new job; one that is ready but has not begun gives way to a higher priority."""
        with self._changed:
            self._arrivals += 1
            self._changed.notify_all()
        if priority is not None:
            self._give_way(priority)

    def cancel(self, job: str) -> None:
        """Stop the job, if it runs here."""
        if attempt := self._attempts.get(job):
            attempt.stop("cancelled")

    def drain(self, seconds: float) -> None:
        """Take no more jobs, wait so long for those that run, and give the others back to the queue."""
        self._take_no_more()
        with self._changed:
            self._changed.wait_for(lambda: not self._attempts, seconds)
        for attempt in tuple(self._attempts.values()):
            attempt.stop("released")

    def close(self, grace: float = 5.0) -> None:
        """End the threads; a job that does not stop by itself is ended with the executor."""
        self._take_no_more()
        with self._changed:
            self._changed.wait_for(lambda: not self._attempts, grace)
        self.executor.close()
        self._closed.set()
        for thread in self._threads:
            thread.join(grace)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _take_no_more(self) -> None:
        self._draining = True
        self._slots.close()
        self._give_way(math.inf)

    def _give_way(self, priority: float) -> None:
        for attempt in tuple(self._attempts.values()):
            attempt.give_way(priority)

    def _serve(self) -> None:
        while turn := self._slots.take():
            with closing(turn):
                if claim := self._claimed(turn):
                    self._run(claim, turn)

    def _claimed(self, turn: Turn) -> Claim | None:
        """The next job; None where there is none for a while."""
        seen = self._arrivals
        try:
            if claim := self.queue.claim(turn.name, LEASE_SECONDS):
                return claim
        except Exception:
            log.exception("no job could be claimed")
        with self._changed:
            self._changed.wait_for(lambda: self._draining or self._arrivals != seen, IDLE_SECONDS)
        return None

    def _run(self, claim: Claim, turn: Turn) -> None:
        attempt = Attempt(self.host, self.queue, self.blobs, self.hub, claim, turn)
        with self._changed:
            self._attempts[attempt.id] = attempt
            if self._draining:
                attempt.stop("released")
        self.hub.publish(attempt.id, None)
        try:
            attempt.run(self.executor)
        finally:
            with self._changed:
                del self._attempts[attempt.id]
                self._changed.notify_all()
