"""What a database says when it cannot go on, as one line with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnection

from latentry_sdk import Unavailable

SQLITE = {
    "SQLITE_FULL": ("the disk is full", "free some space"),
    "SQLITE_READONLY": ("it cannot be written to", "let the host write to the data folder"),
    "SQLITE_CANTOPEN": ("it cannot be opened", "let the host write to the data folder"),
    "SQLITE_CORRUPT": ("it is damaged", "restore a copy, or move it away to begin anew"),
    "SQLITE_NOTADB": ("it is no database", "move it away to begin anew"),
    "SQLITE_BUSY": ("another program keeps it locked", "end that program"),
    "SQLITE_IOERR": ("reading or writing failed", "look at the disk and its free space"),
}
"""Reason and remedy by what the name of SQLite's error begins with."""

POSTGRESQL = {
    "53100": ("the server's disk is full", "free some space"),
    "53300": ("the server takes no more connections", "raise its max_connections"),
    "25006": ("the server takes no changes", "connect to its primary"),
}
"""Reason and remedy by SQLSTATE."""


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what the database `name` cannot help into `Unavailable`; a mistake in a statement stays one."""
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise
    except NoConnection as exc:
        raise Unavailable(f"{name}: all connections are in use", fix="ask again") from exc
    except DBAPIError as exc:
        reason, fix = _reason(exc.orig or exc)
        raise Unavailable(f"{name}: {reason}", fix=fix) from exc


def _reason(error: BaseException) -> tuple[str, str]:
    named = getattr(error, "sqlite_errorname", None) or ""
    if found := next((SQLITE[start] for start in SQLITE if named.startswith(start)), None):
        return found
    said = " ".join(str(error).split())[:200]
    return POSTGRESQL.get(getattr(error, "sqlstate", None) or "", (said, "look at the database"))
