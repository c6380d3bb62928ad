"""One database: its transactions, its clock, and what goes wrong in words."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from sqlalchemy import Connection, Engine, text

from latentry_store_sql.problems import explained


class Database:
    """An engine with two kinds of transactions; `name` is what messages call it.

    A writing transaction is on the disk when it has ended, unless it is not `durable`: then it is there soon,
    whatever happens to the process, and only a loss of power undoes it. SQLite has one writer at a time, so
    the threads of a process queue up here, which is fairer and sooner than SQLite's own waiting.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self.name = engine, name
        self.is_postgresql = engine.dialect.name == "postgresql"
        self._writer: AbstractContextManager[object] = threading.Lock()
        if self.is_postgresql:
            self._writer = nullcontext()
        self._offset = time.time() - time.monotonic()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees the database as it is now."""
        with explained(self.name), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction that is kept as a whole, or not at all when it raises."""
        with explained(self.name), self._writer, self._engine.connect() as connection:
            connection.execution_options(latentry_writes=True, latentry_durable=durable)
            with connection.begin():
                if self.is_postgresql and not durable:
                    connection.execute(text("SET LOCAL synchronous_commit = off"))
                yield connection

    def alone(self, connection: Connection) -> None:
        """Let no other transaction that asks for this go on beside this one; SQLite never does."""
        if self.is_postgresql:
            connection.execute(text("SELECT pg_advisory_xact_lock(7827015264)"))

    def now(self, connection: Connection) -> float:
        """Seconds since 1970: the server's clock, or one that no change of this machine's clock moves."""
        if self.is_postgresql:
            return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)
        return self._offset + time.monotonic()

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()
