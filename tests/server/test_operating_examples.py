"""The unit and the image of examples/ are what systemd and Docker take, and start the server there is."""

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from latentry import Host
from latentry_api.settings import ServeOptions
from latentry_cli import build
from latentry_sdk import parsed

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "examples" / "latentry.service"
DOCKERFILE = ROOT / "examples" / "Dockerfile"
INSTRUCTIONS = {
    "ARG",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "RUN",
    "USER",
    "VOLUME",
    "WORKDIR",
}


def options_of(command: list[str]) -> ServeOptions:
    """What `latentry serve …` is told by a command."""
    program, name, *arguments = command
    assert (Path(program).name, name) == ("latentry", "serve")
    context = build(Host()).commands["serve"].make_context("serve", arguments)
    given = {name: value for name, value in context.params.items() if value not in (None, ())}
    return parsed(ServeOptions, given)


def unit() -> configparser.SectionProxy:
    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment]
    found.read(UNIT, encoding="utf-8")
    return found["Service"]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def test_the_unit_starts_the_server_and_gives_it_time_to_stop() -> None:
    options = options_of(shlex.split(unit()["ExecStart"].replace("%S", "/var/lib")))
    assert options.data == Path("/var/lib/latentry")
    assert float(unit()["TimeoutStopSec"]) >= options.drain_seconds + 15
    assert unit()["StateDirectoryMode"] == "0700"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("latentry")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/latentry/bin/latentry", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_starts_the_server_as_no_root_and_asks_for_tokens() -> None:
    found = instructions()
    assert {name for name, _ in found} <= INSTRUCTIONS
    assert found[0][0] == "FROM"
    (entry,) = [rest for name, rest in found if name == "ENTRYPOINT"]
    options = options_of(json.loads(entry))
    assert options.token_file is not None
    assert ("EXPOSE", str(options.port)) in found
    assert ("VOLUME", str(options.data)) in found
    users = [rest for name, rest in found if name == "USER"]
    assert users == ["latentry"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "device"), [("", None), ("cpu", "latentry_cpu"), ("openvino", "latentry_openvino")]
)
def test_the_image_s_wheels_can_be_built(backend: str, device: str | None, tmp_path: Path) -> None:
    run = next(rest for name, rest in instructions() if name == "RUN")
    script = run.replace("/wheels", str(tmp_path / "wheels"))
    environment = os.environ | {"BACKEND": backend, "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = {path.name.partition("-")[0] for path in (tmp_path / "wheels").iterdir()}
    host = {"latentry", "latentry_api", "latentry_store_sql", "latentry_workers"}
    assert host <= built
    assert (device in built and "latentry_stable_diffusion" in built) if device else built == host
