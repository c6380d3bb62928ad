"""Open the queue of a data folder."""

import os
from contextlib import ExitStack
from pathlib import Path

from latentry_sdk import Unavailable
from latentry_store_sql.database import Database
from latentry_store_sql.engines import postgresql_engine, sqlite_engine
from latentry_store_sql.locking import FolderLock
from latentry_store_sql.queue import SqlQueue
from latentry_store_sql.schema import migrate
from latentry_store_sql.settings import load_settings

FILE = "jobs.sqlite"


def open_queue(folder: Path) -> SqlQueue:
    """The queue that the environment and the folder name, for a host.

    With SQLite the host has the folder alone, and what a host before it left running waits again.
    Raises `Unavailable` or `InvalidRequest` in one line.
    """
    settings = load_settings(os.environ)
    if settings.database_url:
        return SqlQueue(_postgresql(settings.database_url), settings, folder)
    _make(folder)
    with ExitStack() as undo:
        lock = FolderLock(folder)
        undo.callback(lock.release)
        queue = SqlQueue(_sqlite(folder / FILE), settings, folder, lock)
        queue.take_over()
        undo.pop_all()
    return queue


def open_beside(folder: Path) -> SqlQueue:
    """The queue for one who looks and asks while a host may have it."""
    settings = load_settings(os.environ)
    if settings.database_url:
        return SqlQueue(_postgresql(settings.database_url), settings, folder)
    if not (folder / FILE).exists():
        raise Unavailable(f"{folder} holds no jobs", fix="name the server's folder with --data")
    return SqlQueue(_sqlite(folder / FILE), settings, folder)


def _sqlite(file: Path) -> Database:
    return _migrated(Database(sqlite_engine(file), str(file)))


def _postgresql(address: str) -> Database:
    return _migrated(Database(postgresql_engine(address), "the database"))


def _migrated(database: Database) -> Database:
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise Unavailable(f"{folder} cannot be made: {exc.strerror or exc}") from exc
