"""Engines for SQLite and PostgreSQL, set up for a queue."""

from pathlib import Path
from sqlite3 import Connection as RawConnection
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from latentry_sdk import InvalidRequest, Unavailable

BUSY_SECONDS = 10
"""How long a transaction waits for another process' one."""

PRAGMAS = ("journal_mode = WAL", "foreign_keys = ON")


def sqlite_engine(file: Path) -> Engine:
    """An engine whose writers queue up in the order in which they begin."""
    arguments = {"isolation_level": None, "timeout": BUSY_SECONDS}  # no BEGIN but ours
    engine = create_engine(URL.create("sqlite", database=str(file)), connect_args=arguments)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def postgresql_engine(address: str) -> Engine:
    """An engine for `postgresql://…`; raises `InvalidRequest` or `Unavailable`."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as exc:  # ValueError for a port that is no number
        raise InvalidRequest("LATENTRY_DATABASE_URL is no address of a database", fix=_EXAMPLE) from exc
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise InvalidRequest(f"LATENTRY_DATABASE_URL does not take {url.drivername!a}", fix=_EXAMPLE)
    try:
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    except ImportError as exc:
        fix = "pip install latentry-store-sql[postgresql]"
        raise Unavailable("the driver of PostgreSQL is not installed", fix=fix) from exc


_EXAMPLE = "write postgresql://user:password@host/database"


def _prepare(connection: RawConnection, _record: Any) -> None:
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    options, known = connection.get_execution_options(), connection.info
    mode = "FULL" if options.get("latentry_durable", True) else "NORMAL"
    if known.get("synchronous") != mode:  # it stays as it is from one transaction to the next
        connection.exec_driver_sql(f"PRAGMA synchronous = {mode}")
        known["synchronous"] = mode
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("latentry_writes") else "BEGIN")
