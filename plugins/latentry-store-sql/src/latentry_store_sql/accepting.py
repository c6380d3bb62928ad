"""Take jobs in: each key once, and no more than there is room for."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, func, insert, select

from latentry_sdk import InvalidRequest
from latentry_sdk.queue import KeyReused, QueueFull, Submission
from latentry_store_sql import lines
from latentry_store_sql.changes import Changes, overdue_at
from latentry_store_sql.rows import AnyRow
from latentry_store_sql.tables import JOBS

LARGEST_PRIORITY = 1_000_000
LAST_RUNS = 20


def accept(changes: Changes, submission: Submission) -> AnyRow:
    """The job of a submission, new or the one that its key stands for."""
    if earlier := _of_key(changes.connection, submission):
        if not _same(earlier, submission):
            raise KeyReused("the idempotency key was sent before with another request", fix="use a new key")
        return earlier
    check_room(changes)
    columns = _columns(submission, changes.now)
    job = changes.connection.execute(insert(JOBS).values(columns).returning(JOBS)).one()
    lines.join(changes.connection, priority=job.priority, owner=job.owner)
    changes.tell(job, "queued", {"reason": "submitted"})
    return job


def check(submission: Submission) -> None:
    """Raise `InvalidRequest` for what no database keeps."""
    for name, text in (("owner", submission.owner), ("key", submission.key or "")):
        if not text.isprintable() or len(text) > 255:
            raise InvalidRequest(f"the {name} of a job has at most 255 printable characters")
    if not -LARGEST_PRIORITY <= submission.priority <= LARGEST_PRIORITY:
        raise InvalidRequest(f"a priority is from {-LARGEST_PRIORITY} to {LARGEST_PRIORITY}")
    for name, seconds in asdict(submission.timeouts).items():
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise InvalidRequest(f"the time-out {name} is a number of seconds above 0")


def check_room(changes: Changes) -> None:
    """Raise `QueueFull` where as many jobs wait as may."""
    limit = changes.settings.queue_limit
    if lines.waiting(changes.connection) >= limit:
        raise QueueFull(f"{limit} jobs wait already", seconds=_until_next(changes.connection))


def _of_key(connection: Connection, submission: Submission) -> AnyRow | None:
    if submission.key is None:
        return None
    owned = JOBS.c.owner == submission.owner, JOBS.c.key == submission.key
    return connection.execute(select(JOBS).where(*owned)).one_or_none()


def _same(earlier: AnyRow, submission: Submission) -> bool:
    if submission.fingerprint is not None or earlier.fingerprint is not None:
        return bool(earlier.fingerprint == submission.fingerprint)
    return bool(earlier.request == json.loads(json.dumps(dict(submission.request))))


def _columns(submission: Submission, now: float) -> Mapping[str, Any]:
    return {
        "id": os.urandom(16).hex(),
        "owner": submission.owner,
        "priority": submission.priority,
        "key": submission.key,
        "fingerprint": submission.fingerprint,
        "request": dict(submission.request),
        "timeouts": asdict(submission.timeouts),
        "status": "queued",
        "created": now,
        "overdue": overdue_at(now, submission.timeouts.queue),
        "attempts": 0,
        "version": 1,
        "events": 0,
        "progress": 0.0,
        "cancelling": False,
    }


def _until_next(connection: Connection) -> float:
    """Seconds until a job has probably left the queue: a usual run's, shared by those that run."""
    last = (
        select((JOBS.c.finished - JOBS.c.started).label("seconds"))
        .where(JOBS.c.status == "done")
        .order_by(JOBS.c.finished.desc())
        .limit(LAST_RUNS)
        .subquery()
    )
    seconds = connection.scalar(select(func.avg(last.c.seconds))) or 10.0
    running = connection.scalar(select(func.count()).where(JOBS.c.leased.is_not(None))) or 1
    return min(max(seconds / running, 1.0), 600.0)
