"""Write files whole or not at all, and folders as options name them."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from latentry.errors import Unavailable, UserError, shown

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LONGEST_NAME = 255
"""Bytes of one name within a path: no common file system has longer ones."""


def _nameable(path: Path) -> Path:
    if CONTROL.search(str(path)):
        raise ValueError("a path has no control characters")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise ValueError(f"a name in a path has {LONGEST_NAME} bytes at most")
    return path


Folder = Annotated[Path, AfterValidator(_nameable)]
"""A path as an option: one that no file system could have is refused while planning."""


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
