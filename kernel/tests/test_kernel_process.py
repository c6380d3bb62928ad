"""`python -m latentry` as a process of its own: signals, streams and the environment."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import latentry
import latentry_sdk
import latentry_toy

SOURCES = [str(Path(package.__file__).parents[1]) for package in (latentry, latentry_sdk, latentry_toy)]

NOISY = """
import os, sys
from latentry_sdk import Stepped, hookimpl

print("noise at import")
os.system("echo noise of a child")

@hookimpl
def on_event(event):
    print("noise in a job")
    if isinstance(event, Stepped) and event.step == 1:
        print("first step", file=sys.stderr, flush=True)
"""


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """An environment with the kernel, the toy and two plugins of the test installed, and no other plugin."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "noisy.py").write_text(NOISY)
    (site / "broken.py").write_text("import no_such_module\n")
    plugins = {"latentry": "", "latentry-toy": "toy = latentry_toy", "x-noisy": "noisy = noisy"}
    for name, point in {**plugins, "x-broken": "broken = broken"}.items():
        info = site / f"{name.replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[latentry]\n{point}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LATENTRY_")}
    folders = {f"LATENTRY_{name}_DIR": str(tmp_path / name) for name in ("MODELS", "DATA", "CACHE")}
    return {
        **kept,
        **folders,
        "PYTHONPATH": os.pathsep.join([str(site), *SOURCES]),
        "PYTHONIOENCODING": "utf-8:strict",
        "LATENTRY_CONFIG": str(tmp_path / "config.toml"),
        "LATENTRY_PLUGINS": "toy,noisy,broken",
    }


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def command(*arguments: str | bytes) -> list[str | bytes]:
    return [sys.executable, "-m", "latentry", *arguments]


def test_stdout_is_json_alone_whatever_plugins_print(environment: Mapping[str, str], here: Path) -> None:
    run = [*command("toy", "ring", "-o", "a.pgm", "--seed", "7", "--json")]
    ran = subprocess.run(run, env=environment, cwd=here, capture_output=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["artifacts"][0]["path"] == "a.pgm"
    for noise in (b"noise at import", b"noise of a child", b"noise in a job"):
        assert noise in ran.stderr


def test_plugins_tells_of_a_broken_one_and_the_others_work(
    environment: Mapping[str, str], here: Path
) -> None:
    ran = subprocess.run(
        command("plugins", "--json"), env=environment, cwd=here, capture_output=True, check=False, timeout=60
    )
    rows = {row["name"]: row for row in json.loads(ran.stdout) if row["status"] != "disabled"}
    assert {name: row["status"] for name, row in rows.items()} == {
        "broken": "failed",
        "noisy": "active",
        "toy": "active",
    }
    assert "no_such_module" in rows["broken"]["reason"]
    assert rows["toy"]["distribution"] == "latentry-toy"
    assert rows["toy"]["version"] == "0.1.0"


def test_an_empty_list_of_plugins_starts_bare(environment: Mapping[str, str], here: Path) -> None:
    bare = {**environment, "LATENTRY_PLUGINS": ""}
    ran = subprocess.run(command("--help"), env=bare, cwd=here, capture_output=True, check=False, timeout=60)
    assert ran.returncode == 0
    assert b"doctor" in ran.stdout
    assert b"toy" not in ran.stdout
    assert not ran.stderr


def test_ctrl_c_stops_the_job_with_exit_code_130_and_leaves_nothing(
    environment: Mapping[str, str], here: Path
) -> None:
    run = command("toy", "ring", "-o", "a.pgm", "--steps", "1000", "--batch", "64", "--json")
    with subprocess.Popen(
        run, env=environment, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        assert process.stdout
        try:
            while "first step" not in (line := process.stderr.readline()):
                assert line, "it ended before its first step"
            process.send_signal(signal.SIGINT)
            said, complaint = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, said) == (130, "")
    assert complaint.splitlines()[-1] == "latentry: stopped"
    assert "Traceback" not in complaint
    assert os.listdir(here) == []


def test_a_file_name_that_is_no_text_is_written_and_reported(
    environment: Mapping[str, str], here: Path
) -> None:
    for arguments in (("toy", "ring", "-o", b"\xff.pgm"), ("toy", "ring", "-o", b"\xfe.pgm", "--json")):
        ran = subprocess.run(
            command(*arguments), env=environment, cwd=here, capture_output=True, check=False, timeout=60
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout
    assert sorted(os.listdir(os.fsencode(here))) == [b"\xfe.pgm", b"\xff.pgm"]
