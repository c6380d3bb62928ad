"""Blobs: named by content, whole, and never a path."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from latentry_sdk import InvalidInput
from latentry_sdk.blobs import Blobs


def test_a_blob_is_found_under_its_sha_256(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    digest = blobs.keep(b"a picture")
    assert digest == hashlib.sha256(b"a picture").hexdigest()
    assert blobs.read(digest) == b"a picture"
    assert list(blobs.digests()) == [digest]


def test_the_same_bytes_are_written_once_and_count_as_new(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    path = blobs.path(blobs.keep(b"x"))
    os.utime(path, (0, 0))
    before = path.stat()
    blobs.keep(b"x")
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime > before.st_mtime


def test_a_removed_blob_is_gone(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest = blobs.keep(b"x")
    blobs.remove(digest)
    blobs.remove(digest)
    with pytest.raises(InvalidInput, match="no blob"):
        blobs.read(digest)


@pytest.mark.parametrize(
    "name", ["", "../secret", "/etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "a" * 65]
)
def test_what_is_no_digest_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="no digest"):
        Blobs(tmp_path).read(name)
