"""What happens to a job within one transaction; each change of status is kept as an event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from latentry_sdk.queue import ENDED, KeptEvent, Outcome
from latentry_store_sql import lines
from latentry_store_sql.rows import AnyRow, artifact_rows, outcome_columns
from latentry_store_sql.settings import Settings
from latentry_store_sql.tables import ARTIFACTS, ATTEMPTS, EVENTS, JOBS


@dataclass(frozen=True)
class Changes:
    """The changes of one transaction, all at the time `now`. Rows that are changed must have been locked."""

    connection: Connection
    now: float
    settings: Settings

    def locked(self, *where: ColumnElement[bool]) -> AnyRow | None:
        """The job that there is, which no other transaction changes before this one has ended."""
        return self.connection.execute(select(JOBS).where(*where).with_for_update()).one_or_none()

    def update(self, job: AnyRow, **values: Any) -> AnyRow:
        """The job with new values and the next version."""
        change = update(JOBS).where(JOBS.c.number == job.number).values(version=job.version + 1, **values)
        return self.connection.execute(change.returning(JOBS)).one()

    def tell(self, job: AnyRow, kind: str, data: Mapping[str, Any]) -> KeptEvent:
        """Keep an event with the job's next number; the oldest one goes where there are too many."""
        number, oldest = job.events + 1, job.events + 1 - self.settings.queue_events
        event = {"job": job.number, "number": number, "at": self.now, "kind": kind, "data": dict(data)}
        self.connection.execute(insert(EVENTS).values(event))
        self.connection.execute(update(JOBS).where(JOBS.c.number == job.number).values(events=number))
        if oldest > 0:
            self.connection.execute(
                delete(EVENTS).where(EVENTS.c.job == job.number, EVENTS.c.number <= oldest)
            )
        return KeptEvent(job.id, number, self.now, kind, data)

    def start(self, job: AnyRow, *, worker: str, token: str, seconds: float) -> AnyRow:
        """A job out of its line, leased to the holder of the token."""
        attempt = {"job": job.number, "token": token, "worker": worker, "started": self.now}
        self.connection.execute(insert(ATTEMPTS).values(attempt))
        values = {"status": "running", "started": self.now, "attempts": job.attempts + 1}
        self.tell(job, "running", {"attempt": job.attempts + 1, "worker": worker})
        return self.update(job, **values, token=token, leased=self.now + seconds, overdue=None, progress=0.0)

    def queue(self, job: AnyRow, *, reason: str, attempts: int, **values: Any) -> AnyRow:
        """The job at its old place in its line."""
        lines.join(self.connection, priority=job.priority, owner=job.owner)
        self.tell(job, "queued", {"reason": reason})
        values |= {"status": "queued", "attempts": attempts, "started": None, "progress": 0.0}
        overdue = overdue_at(self.now, job.timeouts["queue"])
        return self.update(job, **values, token=None, leased=None, overdue=overdue)

    def give_back(self, job: AnyRow, *, end: str, failed: bool) -> AnyRow:
        """A running job back in its line, or ended where that was its last attempt or it was to stop."""
        limit = self.settings.queue_attempts
        if job.cancelling:
            return self.end(job, Outcome("cancelled"))
        if failed and job.attempts >= limit:
            message = f"{limit} attempts ended without a result; the last was {end}"
            return self.end(job, failure("attempts_exhausted", message))
        self._end_attempt(job, end)
        return self.queue(job, reason=end, attempts=job.attempts if failed else job.attempts - 1)

    def end(self, job: AnyRow, outcome: Outcome) -> AnyRow:
        """The job with its outcome and its last event."""
        if outcome.status not in ENDED:
            raise ValueError(f"{outcome.status!r} is not how a job ends")
        if outcome.artifacts:
            self.connection.execute(insert(ARTIFACTS), artifact_rows(job.number, outcome.artifacts))
        self._end_attempt(job, outcome.status)
        self.tell(job, outcome.status, _last_data(outcome))
        values = {"status": outcome.status, "finished": self.now, "outcome": outcome_columns(outcome)}
        values |= {"progress": 1.0} if outcome.status == "done" else {}
        return self.update(job, **values, token=None, leased=None, overdue=None)

    def _end_attempt(self, job: AnyRow, end: str) -> None:
        if job.token:
            attempt = update(ATTEMPTS).where(ATTEMPTS.c.token == job.token)
            self.connection.execute(attempt.values(ended=self.now, end=end))


def failure(kind: str, message: str) -> Outcome:
    """An outcome with an error of this type."""
    return Outcome("failed", error={"type": kind, "message": message})


def overdue_at(now: float, seconds: float | None) -> float | None:
    """When a job that begins to wait now has waited too long."""
    return None if seconds is None else now + seconds


def _last_data(outcome: Outcome) -> Mapping[str, Any]:
    if outcome.status == "failed":
        return {"error": outcome.error}
    return {"artifacts": [artifact.id for artifact in outcome.artifacts]} if outcome.artifacts else {}
