"""Workers that cannot be greeted: of other versions, silent, odd, or no worker at all."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from latentry import Request
from latentry_sdk.queue import WorkerDied

if TYPE_CHECKING:
    from conftest import Workshop

Opened = Callable[..., "Workshop"]
SILENCE = 4
CROSS = Request(task="toy", prompt="a cross", seed=1)
OURS = version("latentry")
GREETS = """
import socket, sys, time
sys.path[:] = {path!r}
from latentry_workers.channel import Channel
channel = Channel(socket.socket(fileno=int(sys.argv[-1])))
"""
FAKES = {
    "another protocol": (
        GREETS + "channel.send('hello', protocol=99, latentry='0.1.0'); time.sleep(100)",
        rf"speaks protocol 99 of latentry 0.1.0, this host protocol 1 of latentry {OURS}; install the same",
    ),
    "another latentry": (
        GREETS + "channel.send('hello', protocol=1, latentry='7.1'); time.sleep(100)",
        rf"speaks protocol 1 of latentry 7.1, this host protocol 1 of latentry {OURS}; install the same",
    ),
    "no greeting": (
        GREETS + "channel.send('howdy'); time.sleep(100)",
        r"speaks protocol None of latentry None, this host",
    ),
    "garbage": (
        "import os, sys, time; os.write(int(sys.argv[-1]), b'SSH-2.0-server'); time.sleep(100)",
        r"announced a message of 1397966893 bytes before it was ready$",
    ),
    "silent": ("import time; time.sleep(100)", r"did not answer for 4 s before it was ready$"),
    "ends": (
        "print('no such thing'); raise SystemExit(4)",
        r"ended with exit code 4 before it was ready: no such thing$",
    ),
    "never ready": (
        GREETS
        + "channel.send('hello', protocol=1, latentry={version!r})\n"
        + "while True: time.sleep(0.1); channel.send('beat')",
        r"took longer than 4 s before it was ready$",
    ),
}


def fake(folder: Path, source: str) -> str:
    """An interpreter that runs `source` whatever it is told."""
    script = folder / "python"
    filled = source.replace("{path!r}", repr(sys.path)).replace("{version!r}", repr(OURS))
    script.write_text(f"#!{sys.executable}\n{filled}\n")
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize("kind", FAKES)
def test_a_worker_that_cannot_be_greeted_fails_the_job_in_one_line(
    opened: Opened, tmp_path: Path, kind: str
) -> None:
    source, reason = FAKES[kind]
    workshop = opened(processes={"odd": {"python": fake(tmp_path, source)}}, silence=SILENCE, start=SILENCE)
    with pytest.raises(WorkerDied, match=rf"^worker 'odd' {reason}") as raised:
        workshop.host.run(CROSS)
    assert "\n" not in str(raised.value)
    assert not workshop.executor.ready


def test_an_interpreter_that_is_not_there_is_named(opened: Opened) -> None:
    workshop = opened(processes={"gone": {"python": "/nowhere/python"}})
    with pytest.raises(
        WorkerDied, match=r"^worker 'gone' cannot be started: .*No such file or directory: '/nowhere/python'$"
    ):
        workshop.host.run(CROSS)


def test_an_interpreter_that_cannot_be_named_is_no_reason_to_wait_for_ever(opened: Opened) -> None:
    workshop = opened(processes={"odd": {"python": "py\0thon"}})
    with pytest.raises(WorkerDied, match=r"^worker 'odd' cannot be started: embedded null byte$"):
        workshop.host.run(CROSS)


def test_an_interpreter_without_the_package_says_what_is_missing(opened: Opened, tmp_path: Path) -> None:
    bare = "import sys; print('No module named latentry_workers'); sys.exit(1)"
    workshop = opened(processes={"bare": {"python": fake(tmp_path, bare)}})
    with pytest.raises(
        WorkerDied, match=r"exit code 1 before it was ready: .*No module named latentry_workers"
    ):
        workshop.host.run(CROSS)


def test_a_job_goes_to_the_worker_that_can_be_started(opened: Opened) -> None:
    workshop = opened(processes={"gone": {"python": "/nowhere/python"}, "here": {}})
    assert workshop.host.run(CROSS).artifacts


def test_a_worker_is_tried_again_and_serves_once_it_can(opened: Opened, tmp_path: Path) -> None:
    later = tmp_path / "python"
    workshop = opened(processes={"worker": {"python": str(later)}})
    with pytest.raises(WorkerDied, match="cannot be started"):
        workshop.host.run(CROSS)
    later.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    later.chmod(0o755)
    workshop.ready()
    assert workshop.host.run(CROSS).artifacts


def test_what_ends_again_and_again_is_started_ever_later(
    opened: Opened, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    starts, script = tmp_path / "starts", tmp_path / "python"
    script.write_text(f"#!/bin/sh\ndate +%s.%N >> {starts}\nexit 4\n")
    script.chmod(0o755)
    opened(processes={"worker": {"python": str(script)}})
    wait_until(lambda: starts.is_file() and len(starts.read_text().splitlines()) >= 5)
    pauses = [later - sooner for sooner, later in pairwise(map(float, starts.read_text().splitlines()))]
    assert [pause >= least for pause, least in zip(pauses, (0.25, 0.5, 1, 2), strict=False)] == [True] * 4
