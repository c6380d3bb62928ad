"""A worker under another interpreter, with packages that the host has not."""

import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from latentry import Request

if TYPE_CHECKING:
    from conftest import Workshop

ONLY_THERE = """
def depth():
    return 12
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """The interpreter of an environment that has the packages of this one, and `only_there`."""
    venv.create(tmp_path / "venv", with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")})
    own, here = Path(paths["purelib"]), sysconfig.get_paths()["purelib"]
    (own / "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    (own / "only_there.py").write_text(ONLY_THERE)
    return str(Path(paths["scripts"]) / Path(sys.executable).name)


def test_a_job_runs_there(opened: Callable[..., "Workshop"], elsewhere: str) -> None:
    workshop = opened(processes={"other": {"python": elsewhere}})
    program = "import only_there, sys; job.apply('there', [only_there.depth(), sys.prefix, sys.executable])"
    result = workshop.act(program)
    depth, prefix, executable = result.applied["there"]
    assert (depth, executable) == (12, elsewhere)
    assert Path(prefix) == Path(elsewhere).parents[1] != Path(sys.prefix)


def test_it_gives_the_same_picture(opened: Callable[..., "Workshop"], elsewhere: str) -> None:
    ring = Request(task="toy", prompt="ring", seed=3)
    there = opened(processes={"other": {"python": elsewhere}}).host.run(ring)
    assert there.artifacts == opened().host.run(ring).artifacts
