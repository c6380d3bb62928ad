"""Run one trial in a process of its own, which may crash, hang or leak, and take down what it says."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from latentry_sdk.processes import ending

FLAGS = ("-P", "-u", "-X", "faulthandler")
"""Import nothing from the working folder, print without delay, and say where it crashed."""

Message = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a trial said, in order; `problem` is how it ended, where it did not end well."""

    messages: Sequence[Message]
    problem: str | None = None
    timed_out: bool = False

    def find(self, kind: str) -> Message | None:
        """The first message of a kind."""
        return next((message for message in self.messages if message["kind"] == kind), None)

    @property
    def is_lost(self) -> bool:
        """Whether time ran out before anything was measured."""
        return self.timed_out and self.find("measured") is None

    def all(self, kind: str) -> Sequence[Message]:
        """All messages of a kind."""
        return [message for message in self.messages if message["kind"] == kind]


def run_trial(task: Message, limit: float) -> Outcome:
    """Start `python -m latentry_bench.trial`, give it the task, and end it after `limit` seconds."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, *FLAGS, "-m", "latentry_bench.trial"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "LATENTRY_PROFILE": ""},
            start_new_session=True,
        )
        try:
            messages, timed_out = _followed(process, task, limit)
        finally:
            _end(process)
        if timed_out:
            return Outcome(messages, f"took longer than {limit:g} s", timed_out=True)
        if process.returncode or not messages or messages[-1]["kind"] != "end":
            return Outcome(messages, _ended(process.returncode, errors))
        return Outcome(messages)


def _followed(process: "subprocess.Popen[bytes]", task: Message, limit: float) -> tuple[list[Message], bool]:
    """What it says until it ends, and whether it took too long. Its input stays open while we live."""
    messages: list[Message] = []
    assert process.stdin is not None
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(process.stdout, messages), daemon=True)
    reader.start()
    with suppress(OSError):  # it is gone already, which its end will say
        process.stdin.write(json.dumps(task).encode() + b"\n")
        process.stdin.flush()
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        return [*messages], True
    reader.join(5)
    return [*messages], False


def _read(stream: IO[bytes], messages: list[Message]) -> None:
    for line in stream:
        with suppress(ValueError):  # half a line of one that crashed
            messages.append(json.loads(line))


def _end(process: "subprocess.Popen[bytes]") -> None:
    """See to it that the process is gone, with all that it started and that stayed in its group."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _ended(code: int, errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    how = ending(code)
    return f"{how}: {lines[-1][:200]}" if lines and code > 0 else how
