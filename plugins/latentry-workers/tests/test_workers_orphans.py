"""No worker outlives its host, and no signal to the host's group reaches a worker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

HOST = """
import signal, sys, threading
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda *_: None)
from latentry import Config, Host, Request
host = Host(config=Config(executor="workers", plugins=("toy", "acting", "workers")))
said = lambda event: type(event).__name__ == "Acted" and print(event.said, flush=True)
job = Request(task="act", prompt=sys.argv[1])
thread = threading.Thread(target=lambda: print(host.run(job, on_event=said).applied))
thread.start()
thread.join()
"""
SAY = "import os, subprocess, time; job.notify(Acted(job.id, str(os.getpid())))\n"
BUSY = {
    "sleeps": SAY + "time.sleep(100)",
    "computes": SAY + "while True: sum(range(1000))",
    "holds the interpreter": SAY + "time.sleep(0.2); import ctypes; ctypes.PyDLL(None).sleep(100)",
}


@pytest.fixture
def started(installed: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], psutil.Process]]]:
    """Starts a host in a process group of its own; it and the worker that runs the program."""
    hosts: list[subprocess.Popen[str]] = []

    def start(program: str) -> tuple[subprocess.Popen[str], psutil.Process]:
        command = [sys.executable, "-c", HOST, program]
        host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        hosts.append(host)
        assert host.stdout is not None
        return host, psutil.Process(int(host.stdout.readline()))

    yield start
    for host in hosts:
        host.kill()
        host.wait()
        host.stdout.close()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("how", BUSY)
def test_a_worker_is_gone_a_second_after_its_host(started: Callable, how: str, wait_until: Callable) -> None:
    host, worker = started(BUSY[how])
    host.kill()
    host.wait()
    wait_until(lambda: gone(worker), seconds=1.0)


@pytest.mark.parametrize("then", ["time.sleep(100)", "ctypes.PyDLL(None).sleep(100)"])
def test_the_processes_that_a_worker_started_are_gone_too(
    started: Callable, wait_until: Callable, then: str
) -> None:
    program = (
        "import ctypes, subprocess, time; subprocess.Popen(['sleep', '100'])\n"
        "job.notify(Acted(job.id, str(os.getpid()))); time.sleep(0.2)\n"
    )
    host, worker = started("import os\n" + program + then)
    (child,) = [child for child in worker.children() if child.name() == "sleep"]
    host.kill()
    host.wait()
    wait_until(lambda: gone(worker) and gone(child), seconds=1.0)


def test_a_child_that_was_forked_does_not_hide_that_its_worker_died(started: Callable) -> None:
    fork = "import os, time\nif os.fork() == 0: time.sleep(100)\n" + SAY + "time.sleep(0.5); os._exit(5)"
    host, _worker = started(fork)
    ended = time.monotonic()
    host.wait(20)  # its job has failed, long before anybody is missed
    assert time.monotonic() - ended < 10


def test_a_worker_whose_keeper_is_gone_sees_by_itself_that_its_host_is(
    started: Callable, wait_until: Callable
) -> None:
    host, worker = started(BUSY["computes"])
    (keeper,) = worker.children()
    keeper.kill()
    host.kill()
    host.wait()
    wait_until(lambda: gone(worker), seconds=1.0)


def test_a_worker_has_nothing_to_read(started: Callable) -> None:
    host, _worker = started(SAY + "import sys; job.apply('input', sys.stdin.read())")
    assert "'input': ''" in host.stdout.read()


def test_signals_that_stop_a_service_leave_a_job_in_its_worker_alone(started: Callable) -> None:
    host, worker = started(SAY + "time.sleep(1); job.apply('finished', True)")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(worker.pid, number)  # a service manager may tell every process of a service
    assert "'finished': True" in host.stdout.read()


def test_what_a_worker_starts_can_be_terminated(started: Callable) -> None:
    program = "child = subprocess.Popen(['sleep', '100']); child.terminate(); job.apply('code', child.wait())"
    host, _worker = started(SAY + program)
    assert "'code': -15" in host.stdout.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_hosts_group_leaves_a_draining_job_alone(
    started: Callable, number: signal.Signals
) -> None:
    host, worker = started(SAY + "time.sleep(1); job.apply('finished', True)")
    assert os.getpgid(worker.pid) == worker.pid != host.pid
    os.killpg(host.pid, number)  # the host ignores it, as one that drains does
    assert "'finished': True" in host.stdout.read()
