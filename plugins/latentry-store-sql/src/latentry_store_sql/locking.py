"""One host for one data folder, and who it is."""

import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout

from latentry_sdk import Unavailable, write_whole


class FolderLock:
    """Held from here until `release` or the end of the process, however it ends.

    Raises `Unavailable`, which names the holder, where another host has the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / "host.lock")
        holder = folder / "host.txt"
        try:
            self._lock.acquire(blocking=False)
        except Timeout as exc:
            who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
            fix = "stop it, or set LATENTRY_DATA_DIR to another folder"
            raise Unavailable(f"{folder} is in use by {who}", fix=fix) from exc
        except OSError as exc:
            raise Unavailable(f"{folder} cannot be locked: {exc.strerror or exc}") from exc
        write_whole(holder, f"process {os.getpid()} on {platform.node()}".encode(), overwrite=True)

    def release(self) -> None:
        """Let another host have the folder."""
        self._lock.release()
