"""The tables of the database, as SQLAlchemy Core sees them."""

import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    literal,
)

METADATA = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only in a column that is called INTEGER."""


class Json(TypeDecorator[Any]):
    """A value as JSON text in ASCII, which any database keeps as it is."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """The text of a value; None stays None."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """The value of a text."""
        return None if value is None else json.loads(value)


JOBS = Table(
    "jobs",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("key", Text),
    Column("fingerprint", Text),
    Column("request", Json, nullable=False),
    Column("timeouts", Json, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("overdue", Float),
    Column("attempts", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    Column("progress", Float, nullable=False),
    Column("cancelling", Boolean, nullable=False),
    Column("token", String(64)),
    Column("leased", Float),
    Column("outcome", Json),
)
"""A job: one that waits does so until `overdue`, one that runs is leased until `leased` by its `token`."""

Index("jobs_key", JOBS.c.owner, JOBS.c.key, unique=True)
Index("jobs_status", JOBS.c.status, JOBS.c.number)
Index("jobs_owner", JOBS.c.owner, JOBS.c.number)
Index("jobs_finished", JOBS.c.status, JOBS.c.finished)


def _index_where(where: ColumnElement[bool], name: str, *columns: Any) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


QUEUED = JOBS.c.status == literal("queued", literal_execute=True)
"""With its value spelled out: else no database sees that it may use an index of these rows only."""

_index_where(QUEUED, "jobs_next", JOBS.c.priority, JOBS.c.owner, JOBS.c.number)
_index_where(JOBS.c.overdue.is_not(None), "jobs_overdue", JOBS.c.overdue)
_index_where(JOBS.c.leased.is_not(None), "jobs_leased", JOBS.c.leased)

LINES = Table(
    "lines",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("priority", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("turn", NUMBER, nullable=False),
)
"""How many jobs of an owner wait at a priority, and when it was last that line's turn."""

Index("lines_of", LINES.c.priority, LINES.c.owner, unique=True)
WAITING = LINES.c.waiting > literal(0, literal_execute=True)
_index_where(WAITING, "lines_next", LINES.c.priority.desc(), LINES.c.turn, LINES.c.number)
Index("lines_turn", LINES.c.priority, LINES.c.turn)


def _job(**more: Any) -> Column[Any]:
    return Column("job", NUMBER, ForeignKey("jobs.number", ondelete="CASCADE"), nullable=False, **more)


ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    _job(index=True),
    Column("token", String(64), nullable=False, unique=True),
    Column("worker", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("end", String(16)),
)
"""A claim of a job, and how it ended: done, failed, cancelled, released or lost."""

EVENTS = Table(
    "events",
    METADATA,
    _job(primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", Json, nullable=False),
)

ARTIFACTS = Table(
    "artifacts",
    METADATA,
    Column("id", String(128), primary_key=True),
    _job(),
    Column("position", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("seed", String(20), nullable=False),
)
"""A file that a job made; a seed may be larger than a database's integers."""

Index("artifacts_of", ARTIFACTS.c.job, ARTIFACTS.c.position)

RECORDS = Table(
    "records",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("request", Json, nullable=False),
    Column("status", String(16), nullable=False),
    Column("error", Text),
    Column("result", Json),
)
"""A job that a host ran at once, without the queue."""
