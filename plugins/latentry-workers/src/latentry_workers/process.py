"""One worker process as the host sees it: started, spoken to, ended."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress

from latentry_sdk.processes import ending
from latentry_workers.channel import Channel
from latentry_workers.options import WorkerOptions
from latentry_workers.output import Output

FLAGS = ("-P", "-u", "-X", "faulthandler")
"""Import nothing from the working folder, print without delay, and say where it crashed."""


class WorkerProcess:
    """A process with a channel to it. Its input is open as long as this process is there."""

    def __init__(self, name: str, options: WorkerOptions) -> None:
        with ExitStack() as undo:
            ours, theirs = map(undo.enter_context, socket.socketpair())
            self._process = _started(options, theirs.fileno())
            theirs.close()
            undo.pop_all()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin
        self.channel = Channel(ours)
        self.output = Output(name, self._process.stdout)

    @property
    def pid(self) -> int:
        """The process's id, and that of the group it leads."""
        return self._process.pid

    def kill(self) -> None:
        """End the process, and all that it started and that stayed in its group."""
        if self._process.returncode is None:  # afterwards the id may be another's
            with suppress(ProcessLookupError, PermissionError):  # macOS's answer for a process just ended
                os.killpg(self.pid, signal.SIGKILL)

    def kill_after(self, seconds: float) -> None:
        """End the process if it is still there then."""
        patience = threading.Timer(seconds, self.kill)
        patience.daemon = True
        patience.start()

    def end(self) -> str:
        """See to it that the process is gone, and say how it went."""
        self.kill()
        code = self._process.wait()
        self.output.join(1)
        self.channel.close()
        self._input.close()
        return ending(code)


def _started(options: WorkerOptions, descriptor: int) -> subprocess.Popen[bytes]:
    """The process, in a group of its own: what stops the host's group lets it finish its job."""
    return subprocess.Popen(
        [options.python or sys.executable, *FLAGS, "-m", "latentry_workers.worker", str(descriptor)],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **options.environment},
        pass_fds=[descriptor],
        process_group=0,
    )
