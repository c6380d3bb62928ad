"""The command line with workers: a picture, an error, and Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest


def latentry(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    """`latentry ARGUMENTS` with workers, in a group of its own."""
    variables = {"LATENTRY_EXECUTOR": "workers", "LATENTRY_PLUGINS": "toy,acting,workers"}
    return subprocess.Popen(
        [sys.executable, "-m", "latentry", *arguments],
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_picture_is_written(installed: Path, tmp_path: Path) -> None:
    command = latentry("toy", "cross", "-o", "cross.pgm", folder=tmp_path)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 0, said
    assert (tmp_path / "cross.pgm").read_bytes().startswith(b"P5")


def test_a_mistake_is_one_line_and_exit_code_2(installed: Path, tmp_path: Path) -> None:
    command = latentry("toy", "nothing", "-o", "cross.pgm", folder=tmp_path)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 2
    assert "unknown pattern 'nothing'" in said
    assert "Traceback" not in said


def test_a_dead_worker_is_named_in_the_first_line(installed: Path, tmp_path: Path) -> None:
    command = latentry("act", "import os; os._exit(3)", "-o", "x.pgm", folder=tmp_path)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 1
    assert said.startswith("worker 'worker' ended with exit code 3\n")


@pytest.mark.parametrize("program", ["time.sleep(100)", "while True: time.sleep(0.1); job.check_cancelled()"])
def test_control_c_ends_the_command_and_its_worker(
    installed: Path, tmp_path: Path, program: str, wait_until: Callable[..., None]
) -> None:
    began = tmp_path / "began"
    act = f"import os, pathlib, time; pathlib.Path({str(began)!r}).write_text(str(os.getpid()))\n{program}"
    command = latentry("act", act, "-o", "x.pgm", folder=tmp_path)
    wait_until(lambda: began.is_file() and began.read_text())
    worker = psutil.Process(int(began.read_text()))
    os.killpg(command.pid, signal.SIGINT)
    command.communicate(timeout=30)
    assert command.returncode != 0
    assert not worker.is_running()
