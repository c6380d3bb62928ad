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


def test_without_linux_s_help_the_closed_channel_ends_it_and_its_children(
    started: Callable, wait_until: Callable
) -> None:
    program = (
        "import ctypes; ctypes.CDLL(None).prctl(1, 0)\n"  # as on other systems than Linux
        "import subprocess; child = subprocess.Popen(['sleep', '100'])\n"
        "job.notify(Acted(job.id, str(os.getpid())))\n" + "while True: sum(range(1000))"
    )
    host, worker = started("import os\n" + program)
    (child,) = worker.children()
    host.kill()
    host.wait()
    wait_until(lambda: gone(worker) and gone(child), seconds=1.0)


def test_a_child_that_was_forked_does_not_hide_that_its_worker_died(started: Callable) -> None:
    fork = "import os, time\nif os.fork() == 0: time.sleep(100)\n" + SAY + "os._exit(5)"
    host, _worker = started(fork)
    ended = time.monotonic()
    host.wait(20)  # its job has failed, long before anybody is missed
    assert time.monotonic() - ended < 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_hosts_group_leaves_a_draining_job_alone(
    started: Callable, number: signal.Signals
) -> None:
    host, worker = started(SAY + "time.sleep(1); job.apply('finished', True)")
    assert os.getpgid(worker.pid) == worker.pid != host.pid
    os.killpg(host.pid, number)  # the host ignores it, as one that drains does
    assert "'finished': True" in host.stdout.read()
