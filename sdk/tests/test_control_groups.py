"""A container's limit is what its memory is taken to be, whichever version of control groups it has."""

from pathlib import Path

import psutil
import pytest

from latentry_sdk import Memory
from latentry_sdk.control_groups import limits
from latentry_sdk.machine import system_memory

ONE = ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
TWO = ("", "memory.max", "memory.current", "inactive_file")
NONE = {"memory.limit_in_bytes": str(2**63 - 4096), "memory.max": "max"}


@pytest.fixture(params=[ONE, TWO], ids=["one", "two"])
def version(request: pytest.FixtureRequest) -> tuple[str, str, str, str]:
    names: tuple[str, str, str, str] = request.param
    return names


def group(root: Path, version: tuple[str, str, str, str], path: str, limit: str, used: int = 0) -> None:
    """A group that has used so much, 10 bytes of it for files that were not read lately."""
    hierarchy, limiting, using, cache = version
    folder = root / "sys/fs/cgroup" / hierarchy / path.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limiting).write_text(f"{limit}\n")
    (folder / using).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 7\n{cache} 10\n")


def own(root: Path, version: tuple[str, str, str, str], path: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    first = f"4:cpu,{version[0]}:{path}" if version[0] else f"0::{path}"
    (root / "proc/self/cgroup").write_text(f"9:name=systemd:/elsewhere\n{first}\n")


def test_the_limits_of_a_group_and_of_those_around_it_count(
    tmp_path: Path, version: tuple[str, str, str, str]
) -> None:
    own(tmp_path, version, "/outer/inner")
    group(tmp_path, version, "/outer/inner", "1000", 300)
    group(tmp_path, version, "/outer", "500", 450)
    group(tmp_path, version, "/", NONE[version[1]], 10_000)
    assert [*limits(tmp_path)] == [Memory(1000, 710), Memory(500, 60)]


def test_a_containers_own_group_is_the_uppermost_that_it_sees(
    tmp_path: Path, version: tuple[str, str, str, str]
) -> None:
    own(tmp_path, version, "/docker/7c1f")
    group(tmp_path, version, "/", "1000", 300)
    assert [*limits(tmp_path)] == [Memory(1000, 710)]


def test_more_than_the_limit_leaves_nothing(tmp_path: Path, version: tuple[str, str, str, str]) -> None:
    own(tmp_path, version, "/")
    group(tmp_path, version, "/", "1000", 2000)
    assert [*limits(tmp_path)] == [Memory(1000, 0)]


def test_without_groups_there_is_no_limit(tmp_path: Path, version: tuple[str, str, str, str]) -> None:
    assert [*limits(tmp_path)] == []
    for index, limit in enumerate(("nonsense", NONE[version[1]])):
        root = tmp_path / f"{index}"
        own(root, version, "/a")
        group(root, version, "/a", limit)
        assert [*limits(root)] == []


def test_what_is_used_is_read_each_time(tmp_path: Path, version: tuple[str, str, str, str]) -> None:
    own(tmp_path, version, "/a")
    for used, left in ((300, 710), (500, 510)):
        group(tmp_path, version, "/a", "1000", used)
        assert [*limits(tmp_path)] == [Memory(1000, left)]


def test_the_systems_memory_is_the_least_that_any_limit_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = psutil.virtual_memory()
    assert system_memory().total in (machine.total, *(each.total for each in limits()))
    given = [Memory(4 << 20, 3 << 20), Memory(8 << 20, 1 << 20)]
    monkeypatch.setattr("latentry_sdk.machine.limits", lambda: iter(given))
    assert system_memory() == Memory(4 << 20, 1 << 20)
