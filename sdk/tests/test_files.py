"""Files are written whole or not at all."""

import errno
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from latentry.errors import Unavailable, UserError
from latentry.request import Artifact
from latentry_sdk.files import OutputExists, write_whole


@contextmanager
def full_disk(room: int = 3) -> Iterator[None]:
    """No file can grow beyond `room` bytes, by the system's own limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_new_file_holds_the_bytes_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.bin", b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.bin": b"whole"}


def test_a_file_that_exists_stays_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")
    with pytest.raises(OutputExists, match="--force"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    write_whole(file, b"new", overwrite=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_on_a_full_disk_nothing_is_left_and_what_was_there_stays(tmp_path: Path, overwrite: bool) -> None:
    if overwrite:
        (tmp_path / "a.bin").write_bytes(b"old")
    with full_disk(), pytest.raises(Unavailable, match=r"a\.bin' cannot be written"):
        write_whole(tmp_path / "a.bin", b"x" * 100, overwrite=overwrite)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([b"old"] if overwrite else [])


def test_where_there_are_no_hard_links_a_file_is_still_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    write_whole(tmp_path / "a.bin", b"first")
    with pytest.raises(OutputExists):
        write_whole(tmp_path / "a.bin", b"second")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputExists):
        write_whole(tmp_path / "a.bin", b"x")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_as_readable_as_the_users_mask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a.bin", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["none/a.bin", "a" * 300, "a\0b"], ids=["no folder", "long", "NUL"])
def test_a_place_that_cannot_be_is_a_users_mistake(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError):
        write_whole(tmp_path / name, b"x")
    assert not list(tmp_path.iterdir())


def test_an_artifact_saves_itself(tmp_path: Path) -> None:
    artifact = Artifact(b"P5", "image/x-portable-graymap", 1)
    artifact.save(tmp_path / "a.pgm")
    with pytest.raises(FileExistsError):
        artifact.save(tmp_path / "a.pgm")
    artifact.save(tmp_path / "a.pgm", overwrite=True)
    assert (tmp_path / "a.pgm").read_bytes() == b"P5"
