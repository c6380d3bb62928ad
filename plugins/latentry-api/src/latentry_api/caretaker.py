"""Look after running jobs: renew their leases, stop those that are late, take back what others lost."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from latentry_api.attempt import Attempt
from latentry_api.hub import Hub
from latentry_sdk.queue import LeaseLost, Queue

log = logging.getLogger(__name__)
LEASE_SECONDS = 30.0
RENEW_SECONDS = 2.0
WATCH_SECONDS = 0.25
RECOVER_SECONDS = 5.0


@dataclass
class Caretaker:
    """Looks after `attempts`, by the ids of their jobs; `wake` says that there are jobs to take."""

    queue: Queue
    hub: Hub
    attempts: Mapping[str, Attempt]
    wake: Callable[[], None]
    _renewed: float = 0.0
    _recovered: float = 0.0

    def run(self, closed: threading.Event) -> None:
        """Go on until the server is closed; what fails is tried again."""
        while not closed.wait(WATCH_SECONDS):
            try:
                self._look(monotonic())
            except Exception:
                log.exception("looking after the jobs failed")

    def _look(self, now: float) -> None:
        for attempt in tuple(self.attempts.values()):
            if overrun := attempt.late(now):
                attempt.stop(overrun)
        if now - self._renewed >= RENEW_SECONDS:
            self._renewed = now
            self._renew()
        if now - self._recovered >= RECOVER_SECONDS:
            self._recovered = now
            self._recover()

    def _renew(self) -> None:
        for attempt in tuple(self.attempts.values()):
            try:
                job = self.queue.renew(attempt.claim, LEASE_SECONDS, self.hub.progress(attempt.id))
            except LeaseLost:
                attempt.stop("lost")
            else:
                if job.cancelling:
                    attempt.stop("cancelled")

    def _recover(self) -> None:
        changed = self.queue.recover()
        for job in changed:
            self.hub.publish(job.id, None)
        if changed:
            self.wake()
