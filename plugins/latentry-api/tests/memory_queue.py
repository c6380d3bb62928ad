"""A queue in memory, for tests of the server that are not about the store."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from latentry_sdk import JobRecord
from latentry_sdk.queue import (
    ENDED,
    Claim,
    KeptEvent,
    KeyReused,
    LeaseLost,
    Outcome,
    QueuedJob,
    QueueFull,
    Status,
    Submission,
)


class MemoryQueue:
    """Implements `Queue`; at most `most` jobs wait, each is tried three times."""

    def __init__(self, _folder: Path, most: int = 1000) -> None:
        self._lock = threading.RLock()
        self._jobs: dict[str, QueuedJob] = {}
        self._events: dict[str, list[KeptEvent]] = {}
        self._claims: dict[str, tuple[str, float]] = {}
        self._most = most

    def put(self, record: JobRecord) -> None: ...
    def get(self, job: str) -> None: ...
    def records(self) -> tuple[JobRecord, ...]:
        return ()

    def submit(self, submission: Submission) -> QueuedJob:
        with self._lock:
            for job in self._jobs.values():
                if submission.key and job.submission.key == submission.key:
                    if job.submission.request != submission.request:
                        raise KeyReused("the key was used for another request")
                    return job
            if self.counts().get("queued", 0) >= self._most:
                raise QueueFull("the queue is full", 3.0)
            job = QueuedJob(f"{len(self._jobs):08x}", submission, "queued", time.time())
            self._jobs[job.id], self._events[job.id] = job, []
            self._note(job.id, "queued", {})
            return job

    def job(self, job: str) -> QueuedJob | None:
        return self._jobs.get(job)

    def jobs(
        self,
        *,
        statuses: Collection[Status] = (),
        owner: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[QueuedJob]:
        found = sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)
        found = [job for job in found if not statuses or job.status in statuses]
        found = [job for job in found if owner is None or job.submission.owner == owner]
        return [job for job in found if before is None or job.id < before][:limit]

    def cancel(self, job: str) -> QueuedJob | None:
        with self._lock:
            found = self._jobs.get(job)
            if found and found.status == "queued":
                return self._put(found, status="cancelled", finished=time.time())
            if found and found.status == "running":
                return self._put(found, cancelling=True)
            return found

    def retry(self, job: str) -> QueuedJob | None:
        with self._lock:
            found = self._jobs.get(job)
            if found and found.status in ("failed", "cancelled"):
                return self._put(found, status="queued", attempts=0, outcome=None, cancelling=False)
            return found

    def claim(self, worker: str, seconds: float) -> Claim | None:
        with self._lock:
            for job in self._jobs.values():
                if job.status == "queued":
                    token = f"{worker}-{job.version}"
                    self._claims[job.id] = token, time.monotonic() + seconds
                    return Claim(
                        self._put(job, status="running", started=time.time(), attempts=job.attempts + 1),
                        token,
                    )
            return None

    def renew(self, claim: Claim, seconds: float, progress: float) -> QueuedJob:
        with self._lock:
            job = self._held(claim)
            self._claims[job.id] = claim.token, time.monotonic() + seconds
            return self._put(job, progress=progress)

    def append(self, claim: Claim, kind: str, data: Mapping[str, Any]) -> KeptEvent:
        with self._lock:
            return self._note(self._held(claim).id, kind, data)

    def finish(self, claim: Claim, outcome: Outcome) -> QueuedJob:
        with self._lock:
            job = self._held(claim)
            self._note(job.id, outcome.status, {})
            return self._put(job, status=outcome.status, outcome=outcome, finished=time.time())

    def release(self, claim: Claim, *, failed: bool) -> QueuedJob:
        with self._lock:
            job = self._held(claim)
            if failed and job.attempts >= 3:
                outcome = Outcome("failed", error={"type": "worker_died", "message": "it died", "fix": None})
                return self._put(job, status="failed", outcome=outcome, finished=time.time())
            return self._put(job, status="queued", attempts=job.attempts - (not failed))

    def recover(self) -> Sequence[QueuedJob]:
        return ()

    def events(self, job: str, after: int = 0) -> Sequence[KeptEvent]:
        return [event for event in self._events.get(job, ()) if event.number > after]

    def counts(self) -> Mapping[Status, int]:
        statuses = [job.status for job in self._jobs.values()]
        return {status: statuses.count(status) for status in ("queued", "running", *ENDED)}

    def close(self) -> None: ...

    def _held(self, claim: Claim) -> QueuedJob:
        if self._claims.get(claim.job.id, ("", 0))[0] != claim.token:
            raise LeaseLost("another has it")
        return self._jobs[claim.job.id]

    def _put(self, job: QueuedJob, **changes: Any) -> QueuedJob:
        self._jobs[job.id] = replace(job, version=job.version + 1, **changes)
        return self._jobs[job.id]

    def _note(self, job: str, kind: str, data: Mapping[str, Any]) -> KeptEvent:
        events = self._events[job]
        events.append(KeptEvent(job, len(events) + 1, time.time(), kind, data))
        return events[-1]
