"""The queue: each method is one transaction."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Column, delete, func, select, update

from latentry_sdk.queue import ENDED, Claim, KeptEvent, LeaseLost, Outcome, QueuedJob, Status, Submission
from latentry_store_sql import lines
from latentry_store_sql.accepting import accept, check, check_room
from latentry_store_sql.changes import Changes, failure
from latentry_store_sql.database import Database
from latentry_store_sql.locking import FolderLock
from latentry_store_sql.records import Records
from latentry_store_sql.rows import AnyRow, event_of, jobs_of
from latentry_store_sql.settings import Settings
from latentry_store_sql.tables import ATTEMPTS, EVENTS, JOBS

ID = re.compile(r"[0-9a-f]{32}")
FORGOTTEN_AT_ONCE = 500
"""Jobs that one transaction drops, so that others need not wait long."""


class SqlQueue(Records):
    """A `latentry_sdk.queue.Queue` in a database; what cannot be kept or read raises `Unavailable`."""

    def __init__(
        self, database: Database, settings: Settings, folder: Path, lock: FolderLock | None = None
    ) -> None:
        super().__init__(database, folder)
        self._settings, self._lock = settings, lock

    def submit(self, submission: Submission) -> QueuedJob:
        """Accept a job, or give the one its key stands for; raises `QueueFull` or `KeyReused`."""
        check(submission)
        with self._changes() as changes:
            self._database.alone(changes.connection)
            return _only(changes, accept(changes, submission))

    def job(self, job: str) -> QueuedJob | None:
        """The job of this id."""
        if not ID.fullmatch(job):
            return None
        with self._database.reading() as connection:
            found = jobs_of(connection, connection.execute(select(JOBS).where(JOBS.c.id == job)).all())
            return found[0] if found else None

    def jobs(
        self,
        *,
        statuses: Collection[Status] = (),
        owner: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[QueuedJob]:
        """The newest jobs first, older than the job `before`; all statuses and owners unless named."""
        wanted = select(JOBS).order_by(JOBS.c.number.desc()).limit(limit)
        if statuses:
            wanted = wanted.where(JOBS.c.status.in_(sorted(statuses)))
        if owner is not None:
            wanted = wanted.where(JOBS.c.owner == owner)
        if before is not None:
            earlier = select(JOBS.c.number).where(JOBS.c.id == before).scalar_subquery()
            wanted = wanted.where(JOBS.c.number < earlier)
        with self._database.reading() as connection:
            return jobs_of(connection, connection.execute(wanted).all())

    def cancel(self, job: str) -> QueuedJob | None:
        """End a queued job; mark a running one `cancelling`; leave an ended one as it is."""
        with self._changes() as changes:
            row = changes.locked(JOBS.c.id == job) if ID.fullmatch(job) else None
            if row and row.status == "queued":
                lines.leave(changes.connection, row)
                row = changes.end(row, Outcome("cancelled"))
            elif row and row.status == "running" and not row.cancelling:
                changes.tell(row, "cancelling", {})
                row = changes.update(row, cancelling=True)
            return _only(changes, row) if row else None

    def retry(self, job: str) -> QueuedJob | None:
        """Queue a failed or cancelled job again, with its attempts counted anew."""
        with self._changes() as changes:
            self._database.alone(changes.connection)
            row = changes.locked(JOBS.c.id == job) if ID.fullmatch(job) else None
            if row and row.status in ("failed", "cancelled"):
                check_room(changes)
                anew = {"cancelling": False, "finished": None, "outcome": None}
                row = changes.queue(row, reason="retried", attempts=0, **anew)
            return _only(changes, row) if row else None

    def claim(self, worker: str, seconds: float) -> Claim | None:
        """Lease the next job: by priority, then in turn among owners, then the oldest."""
        token = os.urandom(16).hex()
        with self._changes() as changes:
            row = lines.take(changes.connection, changes.now)
            if row is None:
                return None
            row = changes.start(row, worker=worker, token=token, seconds=seconds)
            return Claim(_only(changes, row), token)

    def renew(self, claim: Claim, seconds: float, progress: float) -> QueuedJob:
        """Keep the lease and say how far it is; raises `LeaseLost`."""
        with self._changes(durable=False) as changes:
            row = _claimed(changes, claim)
            row = changes.update(row, leased=changes.now + seconds, progress=min(max(progress, 0.0), 1.0))
            return _only(changes, row)

    def append(self, claim: Claim, kind: str, data: Mapping[str, Any]) -> KeptEvent:
        """Keep an event of a claimed job; raises `LeaseLost`."""
        with self._changes(durable=False) as changes:
            return changes.tell(_claimed(changes, claim), kind, data)

    def finish(self, claim: Claim, outcome: Outcome) -> QueuedJob:
        """End the job with all of its outcome in one transaction; raises `LeaseLost`."""
        with self._changes() as changes:
            return _only(changes, changes.end(_claimed(changes, claim), outcome))

    def release(self, claim: Claim, *, failed: bool) -> QueuedJob:
        """Give the job back to the queue; after its last attempt a `failed` one ends with an error."""
        with self._changes() as changes:
            end = "failed" if failed else "released"
            return _only(changes, changes.give_back(_claimed(changes, claim), end=end, failed=failed))

    def recover(self) -> Sequence[QueuedJob]:
        """Give back every job whose lease has run out or whose time in the queue has; the changed jobs."""
        with self._changes() as changes:
            self._database.alone(changes.connection)
            lost = _due(changes, JOBS.c.leased)
            late = _due(changes, JOBS.c.overdue)
            rows = [changes.give_back(row, end="lost", failed=True) for row in lost]
            for row in late:
                lines.leave(changes.connection, row)
                message = f"it waited more than {row.timeouts['queue']:g} s"
                rows.append(changes.end(row, failure("queue_timeout", message)))
            return jobs_of(changes.connection, rows)

    def forget(self, before: float) -> int:
        """Drop every job that ended before, in seconds since 1970, with all that is kept of it; how many."""
        old = select(JOBS.c.number).where(JOBS.c.status.in_(sorted(ENDED)), JOBS.c.finished < before)
        some, forgotten = delete(JOBS).where(JOBS.c.number.in_(old.limit(FORGOTTEN_AT_ONCE))), 0
        while True:
            with self._changes() as changes:
                count = changes.connection.execute(some).rowcount
            forgotten += count
            if count < FORGOTTEN_AT_ONCE:
                return forgotten

    def take_over(self) -> None:
        """Give back what a host that is gone was running; only the one host of a folder may say so."""
        with self._database.writing() as connection:
            connection.execute(update(JOBS).where(JOBS.c.leased.is_not(None)).values(leased=0.0))
        super().take_over()
        self.recover()

    def events(self, job: str, after: int = 0) -> Sequence[KeptEvent]:
        """The job's events with numbers above `after`, oldest first."""
        if not ID.fullmatch(job):
            return []
        wanted = select(EVENTS).join(JOBS).where(JOBS.c.id == job, EVENTS.c.number > after)
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(EVENTS.c.number)).all()
        return [event_of(row, job) for row in rows]

    def attempts(self, job: str) -> Sequence[Mapping[str, Any]]:
        """Each claim of the job: its worker, when it started and ended, and how; oldest first."""
        names = ("worker", "started", "ended", "end")
        wanted = select(*(ATTEMPTS.c[name] for name in names)).join(JOBS).where(JOBS.c.id == job)
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(ATTEMPTS.c.number)).all()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def counts(self) -> Mapping[Status, int]:
        """How many jobs there are of each status."""
        wanted = select(JOBS.c.status, func.count()).group_by(JOBS.c.status)
        found: dict[Status, int] = dict.fromkeys(("queued", "running", "done", "failed", "cancelled"), 0)
        with self._database.reading() as connection:
            found.update((status, count) for status, count in connection.execute(wanted))
        return found

    def close(self) -> None:
        """Give back connections and locks."""
        self._database.close()
        if self._lock:
            self._lock.release()

    @contextmanager
    def _changes(self, *, durable: bool = True) -> Iterator[Changes]:
        with self._database.writing(durable=durable) as connection:
            yield Changes(connection, self._database.now(connection), self._settings)


def _only(changes: Changes, row: AnyRow) -> QueuedJob:
    return jobs_of(changes.connection, [row])[0]


def _claimed(changes: Changes, claim: Claim) -> AnyRow:
    if row := changes.locked(JOBS.c.id == claim.job.id, JOBS.c.token == claim.token):
        return row
    raise LeaseLost(f"job {claim.job.id} is no longer leased to this worker")


def _due(changes: Changes, end: Column[float]) -> Sequence[AnyRow]:
    due = select(JOBS).where(end < changes.now).with_for_update(skip_locked=True)
    return sorted(changes.connection.execute(due), key=lambda row: row.number)
