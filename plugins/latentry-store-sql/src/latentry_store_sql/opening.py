"""Open the queue of a data folder."""

import os
from pathlib import Path

from latentry_sdk import Unavailable
from latentry_store_sql.database import Database
from latentry_store_sql.engines import postgresql_engine, sqlite_engine
from latentry_store_sql.locking import FolderLock
from latentry_store_sql.queue import SqlQueue
from latentry_store_sql.schema import migrate
from latentry_store_sql.settings import load_settings


def open_queue(folder: Path, *, host: bool = True) -> SqlQueue:
    """The queue that the environment and the folder name.

    A `host` holds an SQLite folder alone, and what a host before it left running comes back to the queue.
    Commands look and ask beside it. Raises `Unavailable` or `InvalidRequest` in one line.
    """
    settings = load_settings(os.environ)
    if settings.database_url:
        database = Database(postgresql_engine(settings.database_url), "the database")
        migrate(database)
        return SqlQueue(database, settings, folder)
    _make(folder)
    lock = FolderLock(folder) if host else None
    try:
        file = folder / "jobs.sqlite"
        database = Database(sqlite_engine(file), str(file))
        migrate(database)
        queue = SqlQueue(database, settings, folder, lock)
        if host:
            queue.take_over()
    except BaseException:
        if lock:
            lock.release()
        raise
    return queue


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise Unavailable(f"{folder} cannot be made: {exc.strerror or exc}") from exc
