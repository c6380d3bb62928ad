"""Write files whole or not at all."""

import os
import tempfile
from pathlib import Path

from latentry.errors import OutputExists, Unavailable, shown


def write_whole(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Put `data` at `path` in one step; `OutputExists` if it is there and `overwrite` is not set."""
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:32]}-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        _move(temporary, path, overwrite=overwrite)
    except FileExistsError as exc:
        raise OutputExists(f"{path} exists", fix="choose another name, or pass --force") from exc
    except OSError as exc:
        raise Unavailable(f"{path} cannot be written: {exc.strerror or exc}") from exc
    except ValueError as exc:  # a NUL in the name
        raise Unavailable(f"{shown(path)} is no path to write to") from exc
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def _move(temporary: str, path: Path, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(str(path)) from None
        os.replace(temporary, path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
