"""Whatever a worker does or suffers ends its job in one line, and the next job runs."""

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from latentry import Request
from latentry.errors import InvalidInput, PluginError
from latentry_sdk import OutOfMemory, StageStarted, Stepped
from latentry_sdk.queue import WorkerDied

if TYPE_CHECKING:
    from conftest import Workshop

Opened = Callable[..., "Workshop"]
CROSS = Request(task="toy", prompt="a cross", seed=1)
SILENCE = 4
"""Seconds: four beats, as this machine may be busy."""

HOLD = "import ctypes; ctypes.PyDLL(None).sleep(100)"
"""A call that keeps the interpreter's lock: no other thread runs."""

DEATHS = {
    "os._exit": ("import os; os._exit(3)", r"ended with exit code 3"),
    "os.abort": ("import os; os.abort()", r"was ended by SIGABRT"),
    "segfault": ("import ctypes; ctypes.string_at(0)", r"was ended by SIGSEGV"),
    "killed": ("import os; os.kill(os.getpid(), 9)", r"was ended by SIGKILL"),
    "closes all": ("import os, time; os.closerange(0, 64); time.sleep(100)", r"was ended by SIGKILL"),
    "garbage": (
        "import os, sys; os.write(int(sys.argv[1]), b'GET / HTTP/1.1'); import time; time.sleep(100)",
        r"announced a message of 1195725856 bytes",
    ),
}
RAISED = {
    "an error": ("raise ValueError('no')", PluginError, r"^stage 'act' failed: ValueError: no$"),
    "sys.exit": ("import sys; sys.exit(3)", PluginError, r"^the job raised SystemExit: 3$"),
    "interrupt": ("raise KeyboardInterrupt", PluginError, r"^the job raised KeyboardInterrupt: $"),
    "recursion": ("def f(): f()\nf()", PluginError, r"RecursionError"),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_worker_that_dies_fails_its_job_with_the_reason_and_is_replaced(opened: Opened, death: str) -> None:
    program, reason = DEATHS[death]
    workshop = opened()
    (process,) = workshop.ready()
    with pytest.raises(WorkerDied, match=f"^worker 'worker' {reason}"):
        workshop.act(program)
    assert workshop.host.run(CROSS).artifacts
    assert workshop.ready() != [process]
    assert not process.is_running()


@pytest.mark.parametrize("what", RAISED)
def test_a_job_that_raises_leaves_the_worker_as_it_is(workshop: "Workshop", what: str) -> None:
    program, kind, message = RAISED[what]
    before = workshop.ready()
    with pytest.raises(kind, match=message):
        workshop.act(program)
    assert workshop.host.run(CROSS).artifacts
    assert workshop.ready() == before


@pytest.mark.parametrize("stage", ["load", "toy.encode_prompt", "toy.noise", "sample"])
def test_a_worker_killed_in_a_stage_is_named_with_the_signal(opened: Opened, stage: str) -> None:
    workshop = opened()
    (process,) = workshop.ready()

    def kill(event: Any) -> None:
        if isinstance(event, StageStarted) and event.stage == stage:
            process.kill()

    slow = Request(task="toy", prompt="a cross", seed=1, steps=1000, batch=8)
    with pytest.raises(WorkerDied, match=r"^worker 'worker' was ended by SIGKILL; if nobody ended it"):
        workshop.host.run(slow, on_event=kill)
    assert workshop.host.run(CROSS).artifacts


def test_killing_an_idle_worker_costs_no_job(opened: Opened, wait_until: Callable[..., None]) -> None:
    workshop = opened()
    for _ in range(3):
        (process,) = workshop.ready()
        process.kill()
        wait_until(lambda: not workshop.executor.ready)
        assert workshop.host.run(CROSS).artifacts


def test_a_worker_killed_while_it_starts_is_started_again(
    opened: Opened, wait_until: Callable[..., None]
) -> None:
    workshop = opened()
    (seat,) = workshop.executor._seats
    wait_until(lambda: seat._process)
    seat._process.kill()
    wait_until(lambda: seat.failure)
    assert str(seat.failure).startswith("worker 'worker' was ended by SIGKILL before it was ready")
    assert workshop.host.run(CROSS).artifacts


def test_a_stopped_worker_is_noticed_while_it_is_idle(
    opened: Opened, wait_until: Callable[..., None]
) -> None:
    workshop = opened(silence=SILENCE)
    (process,) = workshop.ready()
    process.suspend()
    wait_until(lambda: not workshop.executor.ready)
    assert workshop.host.run(CROSS).artifacts
    assert workshop.ready() != [process]


HANGS = {
    "stopped": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "holds the interpreter": HOLD,
    "stopped within a message": (
        "import os, signal, threading; threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGSTOP)).start()\n"
        "while True: job.notify(Acted(job.id, 'long', (bytes(1 << 20),) * 8))"
    ),
}


@pytest.mark.parametrize("hang", HANGS)
def test_a_worker_that_hangs_is_ended_after_its_silence(opened: Opened, hang: str) -> None:
    workshop = opened(silence=SILENCE)
    workshop.ready()
    began = time.monotonic()
    with pytest.raises(WorkerDied, match=rf"^worker 'worker' did not answer for {SILENCE} s$"):
        workshop.act(HANGS[hang])
    assert time.monotonic() - began < SILENCE + 5
    assert workshop.host.run(CROSS).artifacts


def test_a_job_that_computes_for_long_is_not_taken_for_a_hang(opened: Opened) -> None:
    workshop = opened(silence=SILENCE)
    before = workshop.ready()
    workshop.act("import time; end = time.monotonic() + 6\nwhile time.monotonic() < end: sum(range(1000))")
    workshop.act("import time; time.sleep(6)")
    assert workshop.ready() == before


def test_a_slow_listener_holds_the_worker_back_and_fills_no_memory(workshop: "Workshop") -> None:
    before, most = psutil.Process().memory_info().rss, 0
    flood = "for _ in range(300): job.notify(Acted(job.id, 'much', (bytes(2 << 20),)))"

    def slow(event: Any) -> None:
        nonlocal most
        time.sleep(0.01)
        most = max(most, psutil.Process().memory_info().rss - before)

    workshop.act(flood, on_event=slow)
    assert most < 200 << 20  # of 600 that were sent


MEMORY = {
    "Python's": "raise MemoryError('no more')",
    "Python's own": "x = bytearray(1 << 60)",
    "CUDA's": "class OutOfMemoryError(RuntimeError): ...\nraise OutOfMemoryError('CUDA out of memory.')",
    "torch's": 'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried")',
}


@pytest.mark.parametrize("whose", MEMORY)
def test_out_of_memory_is_said_so_and_the_worker_is_replaced(opened: Opened, whose: str) -> None:
    workshop = opened()
    before = workshop.ready()
    with pytest.raises(OutOfMemory, match="ask for a smaller picture or batch"):
        workshop.act(MEMORY[whose])
    assert workshop.host.run(CROSS).artifacts
    assert workshop.ready() != before


def test_what_a_device_says_of_its_memory_is_told_as_it_is(opened: Opened) -> None:
    program = "from latentry_sdk import OutOfMemory; raise OutOfMemory('cuda has 1 byte') from MemoryError()"
    with pytest.raises(OutOfMemory, match=r"^cuda has 1 byte$"):
        opened().act(program)


def test_an_input_too_large_for_memory_stays_the_users_mistake(workshop: "Workshop") -> None:
    before = workshop.ready()
    program = "from latentry_sdk import InvalidInput; raise InvalidInput('too large') from MemoryError()"
    with pytest.raises(InvalidInput, match="too large"):
        workshop.act(program)
    assert workshop.ready() == before


def test_a_worker_is_replaced_after_so_many_jobs(opened: Opened) -> None:
    workshop = opened(jobs=2)
    processes = []
    for _ in range(4):
        told: list[Any] = []
        workshop.act("import os; job.notify(Acted(job.id, str(os.getpid())))", on_event=told.append)
        processes += [event.said for event in told if type(event).__name__ == "Acted"]
    assert processes[0] == processes[1] != processes[2] == processes[3]


def test_a_listener_that_raises_stops_the_job_and_keeps_the_worker(opened: Opened) -> None:
    workshop = opened()
    before = workshop.ready()

    def raising(event: Any) -> None:
        if isinstance(event, Stepped) and event.step == 3:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        workshop.host.run(Request(task="toy", prompt="a cross", steps=1000), on_event=raising)
    assert workshop.host.run(CROSS).artifacts
    assert workshop.ready() == before


def test_closing_ends_a_running_job_with_a_reason(opened: Opened, wait_until: Callable[..., None]) -> None:
    workshop = opened()
    (process,) = workshop.ready()
    raised: list[BaseException] = []

    def job() -> None:
        try:
            workshop.act("import time; time.sleep(100)")
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=job)
    thread.start()
    wait_until(lambda: workshop.executor._seats[0].running)
    began = time.monotonic()
    workshop.executor.close()
    thread.join()
    assert time.monotonic() - began < 3
    assert [type(exc) for exc in raised] == [WorkerDied]
    assert not process.is_running()
    with pytest.raises(WorkerDied, match="closed"):
        workshop.host.run(CROSS)


def test_closing_an_idle_worker_lets_it_leave(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    workshop = opened()
    (process,) = workshop.ready()
    workshop.executor.close()
    assert not process.is_running()
    assert not caplog.records


def test_a_worker_gives_way_to_the_host(opened: Opened) -> None:
    workshop = opened(processes={"worker": {"nice": 7}})
    (process,) = workshop.ready()
    assert process.nice() == os.nice(0) + 7
