"""What workers print is in the host's log, in bounds."""

import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil
import pytest

from latentry_sdk.queue import WorkerDied

if TYPE_CHECKING:
    from conftest import Workshop

Opened = Callable[..., "Workshop"]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "latentry.workers"]


def test_what_a_job_prints_is_logged_with_the_workers_name(
    opened: Opened, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    workshop = opened()
    workshop.act(
        "import os, sys; print('one'); print('two', file=sys.stderr);"
        " os.write(1, b'three\\x1b[2J\\xff\\xe2\\x80\\xa8\\n')"
    )
    workshop.host.close()
    said = logged(caplog)
    assert {"worker: one", "worker: two"} <= {*said}
    assert any(re.fullmatch(r"worker: three\?\[2J\ufffd\?", line) for line in said)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "what", ["print('x' * 1_000_000)", "os.write(1, b'y' * 1_000_000)", "os.write(2, b'\\n' * 1_000_000)"]
)
def test_a_hundred_megabytes_cost_neither_memory_nor_log(
    opened: Opened, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    caplog.set_level(logging.INFO)
    workshop = opened()
    before = psutil.Process().memory_info().rss
    began = time.monotonic()
    workshop.act(f"import os\nfor _ in range(100): {what}")
    assert psutil.Process().memory_info().rss - before < 32 << 20
    assert time.monotonic() - began < 20
    workshop.host.close()
    said = logged(caplog)
    assert sum(map(len, said)) < 400_000
    (left_out,) = (re.search(r"printed (\d+) bytes more", line) for line in said if "bytes more" in line)
    assert left_out
    assert int(left_out[1]) > 99_000_000


def test_what_was_said_before_a_crash_is_there_and_where_it_was(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(WorkerDied, match="SIGSEGV"):
        opened().act("print('about to'); import ctypes; ctypes.string_at(0)")
    said = logged(caplog)
    assert said.index("worker: about to") < said.index("worker: Fatal Python error: Segmentation fault")
    assert any("string_at" in line for line in said)


def test_the_next_minute_is_logged_again(
    opened: Opened, caplog: pytest.LogCaptureFixture, monkeypatch
) -> None:
    monkeypatch.setattr("latentry_workers.output.MINUTE", 0.5)
    caplog.set_level(logging.INFO)
    workshop = opened()
    workshop.act("print('much' * 100_000)\nfor _ in range(300): print('many' * 500)")
    time.sleep(0.6)
    workshop.act("print('later')")
    workshop.host.close()
    assert "worker: later" in logged(caplog)
