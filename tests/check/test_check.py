"""`latentry check`: what it reports, its exit codes, and that plugins of this repository pass."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOME = (
    "latentry-toy",
    "latentry-cpu",
    "latentry-img2img",
    "latentry-schedules",
    "latentry-tome",
    "latentry-api-openai",
)
"""A plugin of each kind that is quick to check; `latentry check` of all takes most of an hour."""

pytestmark = pytest.mark.slow


def checked(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "latentry", "check", *arguments]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=580, check=False)


def test_what_is_no_plugin_is_refused_with_those_that_are() -> None:
    done = checked("latentry-nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "latentry-toy" in done.stderr


def test_a_line_for_each_suite_and_subject() -> None:
    done = checked("latentry-toy")
    assert done.returncode == 0, done.stdout
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["PLUGIN", "SUITE", "SUBJECT", "PASSED", "FAILED", "SKIPPED", "REASON"]
    found = {tuple(line.split()[1:3]) for line in lines}
    assert {("Samplers", "toy_euler"), ("Schedulers", "toy_even"), ("Stages", "toy.decode")} <= found


def test_what_fails_is_named_with_its_reason(tmp_path: Path) -> None:
    shutil.copy(ROOT / "sdk" / "tests" / "wrong" / "serving" / "wrong_surface.py", tmp_path)
    about = tmp_path / "wrong_surface-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong-surface\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[latentry]\nwrong-surface = wrong_surface\n")
    done = checked("wrong-surface", PYTHONPATH=str(tmp_path), WRONG="refusal")
    assert done.returncode == 1
    assert "wrong-surface: TestSurfaces.test_refusals_are_json[wrong]" in done.stdout
    assert "is not JSON serializable" in done.stdout


def test_plugins_of_each_kind_pass() -> None:
    done = checked("--json", *SOME)
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    assert list(found) == list(SOME)
    wrong = [(plugin, one) for plugin, each in found.items() for one in each if one["status"] == "failed"]
    assert wrong == []
    assert done.returncode == 0
    for each in found.values():
        assert each[0] == {"suite": "Plugin", "test": "loads", "subject": each[0]["subject"],
                           "status": "passed", "reason": "", "given": ""}  # fmt: skip
