"""Both databases keep the contract of a queue."""

from collections.abc import Callable

import pytest

from latentry_sdk.testing import QueueSuite
from latentry_store_sql.queue import SqlQueue


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTRY_QUEUE_LIMIT", str(QueueSuite.limit))


class TestSqlite(QueueSuite):
    """SQLite in the data folder."""

    @pytest.fixture
    def opening(self, sqlite: Callable[[], SqlQueue]) -> Callable[[], SqlQueue]:
        return sqlite


class TestPostgresql(QueueSuite):
    """PostgreSQL by its address."""

    @pytest.fixture
    def opening(self, postgresql: Callable[[], SqlQueue]) -> Callable[[], SqlQueue]:
        return postgresql
