"""Who waits: one line for each owner at each priority, which take turns.

A line counts its jobs, so that the next one is found by two steps into indices, however many wait.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from latentry_store_sql.rows import AnyRow
from latentry_store_sql.tables import JOBS, LINES, QUEUED, WAITING

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def join(connection: Connection, *, priority: int, owner: str) -> None:
    """Count one more job in the line; a line that is new comes before those that had their turn."""
    line = {"priority": priority, "owner": owner, "waiting": 1, "turn": 0}
    insert = _INSERT[connection.dialect.name](LINES).values(line)
    grown = {"waiting": LINES.c.waiting + 1}
    connection.execute(insert.on_conflict_do_update(index_elements=["priority", "owner"], set_=grown))


def leave(connection: Connection, job: AnyRow, **more: Any) -> None:
    """Count one job less in the line of `job`."""
    line = LINES.c.priority == job.priority, LINES.c.owner == job.owner
    connection.execute(update(LINES).where(*line).values(waiting=LINES.c.waiting - 1, **more))


def take(connection: Connection, now: float) -> AnyRow | None:
    """The next job, taken out of its line: by priority, then the line whose turn is longest ago, the oldest.

    What another transaction has locked is passed over, as are jobs that have waited too long.
    """
    for line in _in_turn(connection):
        job = connection.execute(
            select(JOBS)
            .where(QUEUED, JOBS.c.priority == line.priority, JOBS.c.owner == line.owner)
            .where((JOBS.c.overdue > now) | JOBS.c.overdue.is_(None))
            .order_by(JOBS.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if job:
            last = select(func.max(LINES.c.turn)).where(LINES.c.priority == line.priority)
            leave(connection, job, turn=(connection.scalar(last) or 0) + 1)
            return job
    return None


def _in_turn(connection: Connection) -> Iterator[AnyRow]:
    order = LINES.c.priority.desc(), LINES.c.turn, LINES.c.number
    lines = select(LINES).where(WAITING).order_by(*order)
    yield from connection.execute(lines.limit(1)).all()
    yield from connection.execute(lines.offset(1)).all()


def waiting(connection: Connection) -> int:
    """How many jobs wait in all lines."""
    return connection.scalar(select(func.sum(LINES.c.waiting)).where(WAITING)) or 0
