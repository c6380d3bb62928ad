"""The plugin of docs/write-a-plugin.md is built, installed, tested, used and removed."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from venv import EnvBuilder

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugins" / "latentry-midpoint"
TOY_JOB = """
from latentry import Host, Request
with Host() as host:
    task = next(name for name, owner in host.registry.tasks.owners.items() if owner == "toy")
    result = host.run(Request(task=task, prompt="a cross", seed=1, steps=6, sampler="midpoint"))
    print(result.applied["sampler"], result.applied["steps"], len(result.artifacts[0].data) > 0)
"""

pytestmark = pytest.mark.slow


class Environment:
    """A virtual environment that also has everything of the running one."""

    def __init__(self, folder: Path) -> None:
        EnvBuilder(with_pip=False).create(folder)
        scheme = {"base": str(folder), "platbase": str(folder)}
        self._python = (
            Path(sysconfig.get_path("scripts", scheme="venv", vars=scheme)) / Path(sys.executable).name
        )
        own = Path(sysconfig.get_path("purelib", scheme="venv", vars=scheme))
        kept = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        lines = [f"import site; site.addsitedir({path!r})" for path in dict.fromkeys(kept)]
        (own / "running.pth").write_text("\n".join(lines), encoding="utf-8")
        self._environ = {name: text for name, text in os.environ.items() if not name.startswith("LATENTRY_")}
        self._environ["LATENTRY_CONFIG"] = str(folder / "none.toml")
        self._folder = folder

    def python(self, *arguments: str, **variables: str) -> str:
        """What Python prints with these arguments."""
        return self._run([str(self._python), *arguments], variables)

    def pip(self, *arguments: str) -> str:
        """What pip prints when it works on this environment."""
        return self._run([sys.executable, "-m", "pip", "--python", str(self._python), *arguments], {})

    def samplers(self, **variables: str) -> list[str]:
        """The names that `latentry samplers --json` lists."""
        listed = json.loads(self.python("-m", "latentry", "samplers", "--json", **variables))
        return [sampler["name"] for sampler in listed]

    def _run(self, command: list[str], variables: dict[str, str]) -> str:
        environ = {**self._environ, **variables}
        done = subprocess.run(
            command, cwd=self._folder, env=environ, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """With the example built and installed."""
    made = Environment(tmp_path_factory.mktemp("environment"))
    assert "midpoint" not in made.samplers()
    wheels = tmp_path_factory.mktemp("wheels")
    made.pip(
        "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(wheels), str(EXAMPLE)
    )
    made.pip("install", "-q", "--no-deps", "--no-index", *map(str, wheels.glob("*.whl")))
    yield made
    made.pip("uninstall", "-q", "-y", "latentry-midpoint")
    assert "midpoint" not in made.samplers()


def test_it_is_listed_and_active(environment: Environment) -> None:
    assert "midpoint" in environment.samplers()
    plugins = json.loads(environment.python("-m", "latentry", "plugins", "--json"))
    mine = next(plugin for plugin in plugins if plugin["name"] == "midpoint")
    assert mine["distribution"] == "latentry-midpoint"
    assert mine["status"] == "active"
    assert mine["provides"] == {"register_samplers": ["midpoint"]}


def test_its_own_test_passes(environment: Environment) -> None:
    said = environment.python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE), str(EXAMPLE / "tests")
    )
    assert " passed" in said


def test_it_samples_in_a_job(environment: Environment) -> None:
    assert environment.python("-c", TOY_JOB).split() == ["midpoint", "6", "True"]


def test_a_variable_leaves_it_out(environment: Environment) -> None:
    assert "midpoint" not in environment.samplers(LATENTRY_DISABLED="midpoint")
