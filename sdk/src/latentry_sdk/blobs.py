"""Keep bytes in files named after their content: inputs that were sent, pictures that were made."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from latentry.errors import InvalidInput, shown
from latentry_sdk.files import OutputExists, write_whole

DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A folder of blobs, each under the SHA-256 of its bytes; safe to use from several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, data: bytes) -> str:
        """Write the bytes, whole and durable, unless they are there; their digest in hexadecimal.

        The file's time tells when its bytes were last asked to be kept.
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        try:
            os.utime(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OutputExists):  # another writer kept the same bytes first
                write_whole(path, data)
        return digest

    def path(self, digest: str) -> Path:
        """The file of a digest, whether it is there or not; `InvalidInput` for what is no digest."""
        if not DIGEST.fullmatch(digest):
            raise InvalidInput(f"{shown(digest)} is no digest of a blob")
        return self._folder / digest[:2] / digest

    def read(self, digest: str) -> bytes:
        """The bytes of a digest; `InvalidInput` where there are none."""
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError as exc:
            raise InvalidInput(f"there is no blob {digest}") from exc

    def room(self) -> int:
        """Bytes that are free on the folder's disk."""
        there = next(path for path in (self._folder, *self._folder.parents) if path.exists())
        return shutil.disk_usage(there).free

    def digests(self) -> Iterator[str]:
        """Every digest that is kept."""
        return (path.name for path in self._folder.glob("??/*") if DIGEST.fullmatch(path.name))

    def remove(self, digest: str) -> None:
        """Forget the bytes of a digest, if they are there."""
        self.path(digest).unlink(missing_ok=True)
