"""What Linux's control groups let this process have of the machine's memory, as containers do.

The files are those of the kernel's documentation, cgroup-v1/memory.rst and cgroup-v2.rst. Windows and macOS
have none of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from latentry.types import Memory

OWN = "proc/self/cgroup"
"""Below the root: a line for each hierarchy, `number:controllers:path`; version 2 names no controllers."""

UNREADABLE = (OSError, ValueError, KeyError)

NO_LIMIT = 1 << 60
"""Version 1 has a number near 2⁶³ where there is none; no machine has so much."""


@dataclass(frozen=True)
class Version:
    """Where a version has its hierarchy, and how it calls its files and its cache's entry in memory.stat."""

    mount: str
    limit: str
    used: str
    cache: str


ONE = Version("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
TWO = Version("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")


def limits(root: Path = Path("/")) -> Iterator[Memory]:
    """Of each group around this process that has a limit: the limit, and what is left of it.

    Pages of files that were not used lately count as left: the kernel drops them first. What cannot be read
    is no limit. Groups that have none when this is first asked are not asked again.
    """
    for folder, version in _limited(root):
        with suppress(*UNREADABLE):
            yield _limit(folder, version)


@cache
def _limited(root: Path) -> Sequence[tuple[Path, Version]]:
    found = []
    for folder, version in _around(root):
        with suppress(*UNREADABLE):
            _limit(folder, version)
            found.append((folder, version))
    return found


def _around(root: Path) -> Iterator[tuple[Path, Version]]:
    """The group of this process, and those that it is in."""
    for version, path in _groups(root):
        mount = root / version.mount
        inside = mount / path.lstrip("/")
        own = inside if inside.is_dir() else mount  # a container's own group is mounted as the uppermost
        folders = (own, *own.parents)
        yield from ((folder, version) for folder in folders[: folders.index(mount) + 1])


def _groups(root: Path) -> Iterator[tuple[Version, str]]:
    with suppress(OSError):
        for line in (root / OWN).read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                yield ONE, path
            elif not controllers:
                yield TWO, path


def _limit(folder: Path, version: Version) -> Memory:
    """The group's limit; `ValueError` where it has none."""
    limit = int((folder / version.limit).read_text())
    if limit >= NO_LIMIT:
        raise ValueError("no limit")
    used = int((folder / version.used).read_text()) - _entries(folder)[version.cache]
    return Memory(limit, min(max(limit - used, 0), limit))


def _entries(folder: Path) -> Mapping[str, int]:
    lines = (folder / "memory.stat").read_text().splitlines()
    return {name: int(value) for name, value in (line.split() for line in lines)}
