"""A real environment: everything that is installed here, and a folder of bad plugins beside it."""

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import pytest

BAD = sorted(path.parent for path in Path(__file__).parent.glob("bad_plugins/*/pyproject.toml"))


@dataclass(frozen=True)
class Done:
    """What a command gave, and how many seconds it took."""

    code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True)
class Environment:
    """A virtual environment in which commands run from an empty folder."""

    python: Path
    folder: Path

    def latentry(self, *arguments: str, **variables: str) -> Done:
        """`latentry ARGUMENTS` with `variables`, where plugins have two seconds to load."""
        return self.run("-m", "latentry", *arguments, variables={"LATENTRY_HOOK_SECONDS": "2"} | variables)

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Done:
        """`python ARGUMENTS`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LATENTRY_")}
        kept |= {"OMP_NUM_THREADS": "1", "LATENTRY_CONFIG": str(self.folder / "none.toml")}
        began = perf_counter()
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env=kept | dict(variables or {}),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr, perf_counter() - began)


@pytest.fixture(scope="session")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The running environment with every bad plugin installed as well, by pip."""
    root = tmp_path_factory.mktemp("spoiled")
    venv.create(root / "venv", with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(root / "venv"), "platbase": str(root / "venv")})
    here = sysconfig.get_paths()["purelib"]
    # a plain path in a .pth would not follow the .pth files of editable installs
    Path(paths["purelib"], "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    (root / "empty").mkdir()
    environment = Environment(Path(paths["scripts"]) / Path(sys.executable).name, root / "empty")
    flags = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    done = environment.run("-m", "pip", "install", *flags, *map(str, BAD))
    assert done.code == 0, done.stderr
    return environment
