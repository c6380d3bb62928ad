"""One attempt at a claimed job: run it, tell of it, and say how it ended."""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from time import monotonic
from typing import Any, Literal

from latentry_api.errors import TimedOut, type_of
from latentry_api.hub import Hub
from latentry_api.slots import Turn
from latentry_api.telling import Teller
from latentry_sdk import (
    Cancelled,
    Event,
    Executor,
    Host,
    Job,
    LatentryError,
    Request,
    Result,
    StageStarted,
    UserError,
    parsed,
)
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import Claim, KeptArtifact, LeaseLost, Outcome, Queue, QueuedJob, WorkerDied

log = logging.getLogger(__name__)
AHEAD_SECONDS = 1.0
"""How long a job that is ready waits for the one before to end; after that it is given back to the queue."""

GLANCE = 0.02
"""Seconds between two looks at whether a job that waits so was stopped."""

Stop = Literal["cancelled", "load", "run", "released", "lost"]


@dataclass
class Attempt:
    """A claim and what is known while it runs. `stop` may be called from any thread."""

    host: Host
    queue: Queue
    blobs: Blobs
    hub: Hub
    claim: Claim
    turn: Turn
    began: float = field(default_factory=monotonic)
    reason: Stop | None = None
    _teller: Teller = field(init=False)
    _job: Job | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._teller = Teller(self.host, self.queue, self.hub, self.claim, partial(self.stop, "lost"))

    @property
    def id(self) -> str:
        """The job's id."""
        return self.claim.job.id

    def stop(self, reason: Stop) -> None:
        """Ask the job to stop; the first reason counts."""
        with self._lock:
            self.reason = self.reason or reason
            if self._job:
                self._job.cancel()

    def give_way(self, priority: float) -> None:
        """Go back to the queue for a job of higher priority, if this one is ready but has not begun."""
        if self.turn.is_ahead and priority > self.claim.job.submission.priority:
            self.stop("released")

    def late(self, now: float) -> Stop | None:
        """The time that the job has overrun, if it has begun."""
        if self.turn.is_ahead:
            return None
        limits, loaded = self.claim.job.submission.timeouts, self._teller.loaded
        if loaded is None:
            return "load" if limits.load is not None and now - self.began > limits.load else None
        return "run" if limits.run is not None and now - loaded > limits.run else None

    def run(self, executor: Executor) -> None:
        """Run the job to its end and write it down; raises nothing."""
        try:
            self._settle(executor)
        except LeaseLost:
            log.warning("the lease was lost", extra={"job": self.id})
        except Exception:
            log.exception("the attempt could not be written down", extra={"job": self.id})
            with suppress(Exception):  # without it, the lease runs out
                self.queue.release(self.claim, failed=True)
        finally:
            self.hub.forget(self.id)

    def _settle(self, executor: Executor) -> None:
        try:
            job = self._planned()
            self._begin(job)
            result = executor.run(job)
        except WorkerDied as exc:
            log.warning("%s", exc, extra={"job": self.id})
            self.queue.release(self.claim, failed=self.reason != "released")
            return
        except Exception as exc:
            if self.reason in ("released", "lost"):
                self.queue.release(self.claim, failed=False)
                return
            outcome = self._failed(exc)
        else:
            self.turn.close()  # the next job need not wait until this one is written down
            outcome = self._done(result)
        self.queue.finish(self.claim, outcome)
        log.info("job %s", outcome.status, extra={"job": self.id, "error": outcome.error})

    def _planned(self) -> Job:
        plan = self.host.plan(request_of(self.claim.job, self.blobs))
        job = Job(self.id, plan, partial(self._told, plan.stages[-1].name))
        with self._lock:
            self._job = job
            if self.reason:
                job.cancel()
        return job

    def _begin(self, job: Job) -> None:
        """Wait until the job before has ended; the times that this one has count from here."""
        until = monotonic() + AHEAD_SECONDS
        while not self.turn.begin(GLANCE):
            job.check_cancelled()
            if monotonic() > until:
                self.turn.was_early()
                self.stop("released")
        self.began = monotonic()

    def _told(self, last: str, event: Event) -> None:
        is_first = self.claim.job.attempts == 1  # one that killed its host may again: nobody is to go with it
        if is_first and isinstance(event, StageStarted) and event.stage == last:
            self.turn.ending()
        self._teller(event)

    def _done(self, result: Result) -> Outcome:
        artifacts = [
            KeptArtifact(
                f"{self.id}-{index}", self.blobs.keep(one.data), one.media_type, len(one.data), one.seed
            )
            for index, one in enumerate(result.artifacts)
        ]
        return Outcome("done", artifacts, result.applied, result.timings, result.warnings)

    def _failed(self, exc: Exception) -> Outcome:
        if isinstance(exc, Cancelled) and self.reason in ("load", "run"):
            limit = asdict(self.claim.job.submission.timeouts)[self.reason]
            exc = TimedOut(f"the job was stopped: its {self.reason} took more than {limit:g} s")
        elif isinstance(exc, Cancelled):
            return Outcome("cancelled")
        elif not isinstance(exc, UserError):
            log.error("the job failed", exc_info=exc, extra={"job": self.id})
        return Outcome("failed", error=described(exc))


def request_of(job: QueuedJob, blobs: Blobs) -> Request:
    """The request that was kept, with its inputs' bytes."""
    fields = dict(job.submission.request)
    inputs = {name: blobs.read(digest) for name, digest in fields.pop("inputs", {}).items()}
    return parsed(Request, {**fields, "inputs": inputs})


def described(exc: BaseException) -> Mapping[str, Any]:
    """An error as JSON: its stable type, one line, and what to do where that is known."""
    known = isinstance(exc, LatentryError | MemoryError)
    text = " ".join(str(exc.message if isinstance(exc, LatentryError) else exc).split())
    return {
        "type": type_of(exc),
        "message": text[:2000] if known and text else type(exc).__name__,
        "fix": exc.fix if isinstance(exc, LatentryError) else None,
    }
