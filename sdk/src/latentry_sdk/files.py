"""Write files whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from latentry.errors import Unavailable, UserError, shown


class OutputExists(UserError):
    """The file to be written is there already."""


def write_whole(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Put `data` at `path` in one step; `OutputExists` if it is there and `overwrite` is not set."""
    temporary = path.parent / f".{path.name[:32]}-{os.urandom(8).hex()}"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _move(temporary, path, overwrite=overwrite)
    except FileExistsError as exc:
        raise OutputExists(f"{path} exists", fix="choose another name, or pass --force") from exc
    except (OSError, ValueError) as exc:  # ValueError for a NUL in the name
        why = getattr(exc, "strerror", None) or exc
        raise Unavailable(f"{shown(path, limit=300)} cannot be written: {why}") from exc
    finally:
        with suppress(OSError, ValueError):
            temporary.unlink()


def _move(temporary: Path, path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        with suppress(OSError):  # it exists, or the file system has no hard links
            return path.hardlink_to(temporary)
        if os.path.lexists(path):
            raise FileExistsError(str(path))
    return os.replace(temporary, path)
