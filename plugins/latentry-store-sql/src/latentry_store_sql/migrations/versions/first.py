"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "first"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables and indices."""
    _jobs()
    _lines()
    _attempts()
    _events()
    _artifacts()
    _records()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", NUMBER, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("timeouts", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("started", sa.Float),
        sa.Column("finished", sa.Float),
        sa.Column("overdue", sa.Float),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("token", sa.String(64)),
        sa.Column("leased", sa.Float),
        sa.Column("outcome", sa.Text),
    )
    op.create_index("jobs_key", "jobs", ["owner", "key"], unique=True)
    op.create_index("jobs_status", "jobs", ["status", "number"])
    op.create_index("jobs_owner", "jobs", ["owner", "number"])
    op.create_index("jobs_finished", "jobs", ["status", "finished"])
    _index_where("jobs_next", "jobs", ["priority", "owner", "number"], sa.text("status = 'queued'"))
    _index_where("jobs_overdue", "jobs", ["overdue"], sa.text("overdue IS NOT NULL"))
    _index_where("jobs_leased", "jobs", ["leased"], sa.text("leased IS NOT NULL"))


def _lines() -> None:
    op.create_table(
        "lines",
        sa.Column("number", NUMBER, primary_key=True),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("waiting", sa.Integer, nullable=False),
        sa.Column("turn", NUMBER, nullable=False),
    )
    op.create_index("lines_of", "lines", ["priority", "owner"], unique=True)
    op.create_index("lines_turn", "lines", ["priority", "turn"])
    _index_where("lines_next", "lines", [sa.text("priority DESC"), "turn", "number"], sa.text("waiting > 0"))


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("number", NUMBER, primary_key=True),
        _job(index=True),
        sa.Column("token", sa.String(64), nullable=False, unique=True),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("ended", sa.Float),
        sa.Column("end", sa.String(16)),
    )


def _events() -> None:
    op.create_table(
        "events",
        _job(primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", sa.String(128), primary_key=True),
        _job(),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("seed", sa.String(20), nullable=False),
    )
    op.create_index("artifacts_of", "artifacts", ["job", "position"])


def _records() -> None:
    op.create_table(
        "records",
        sa.Column("number", NUMBER, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("result", sa.Text),
    )


def _job(**more: Any) -> sa.Column[int]:
    return sa.Column("job", NUMBER, sa.ForeignKey("jobs.number", ondelete="CASCADE"), nullable=False, **more)


def _index_where(name: str, table: str, columns: list[str | sa.TextClause], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
