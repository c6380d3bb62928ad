"""Queues of every kind: SQLite in a folder, PostgreSQL in a database of its own."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from latentry_sdk.testing.postgresql import postgresql_server
from latentry_store_sql.opening import open_beside, open_queue
from latentry_store_sql.queue import SqlQueue
from latentry_store_sql.tables import METADATA


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server."""
    with postgresql_server() as address:
        yield address


@pytest.fixture
def sqlite(tmp_path: Path) -> Callable[[], SqlQueue]:
    """What opens a queue in a folder, as those do who share it with the host."""
    open_queue(tmp_path).close()
    return partial(open_beside, tmp_path)


@pytest.fixture
def postgresql(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], SqlQueue]]:
    """What opens a queue in a database that is empty at first."""
    monkeypatch.setenv("LATENTRY_DATABASE_URL", server)
    yield partial(open_queue, tmp_path)
    with psycopg.connect(server) as connection:
        names = ", ".join(table.name for table in METADATA.sorted_tables)
        connection.execute(f"TRUNCATE {names} RESTART IDENTITY".encode())
