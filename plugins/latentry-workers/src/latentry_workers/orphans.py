"""See to it that no process outlives the host that started it."""

import os
import signal
import subprocess
import sys

WAIT = "import os; os.read(0, 1); os.killpg(0, 9)"
"""Waits for the end of its input, then ends the group that it is in."""


def keep() -> None:
    """Start a small process that ends this one's group when its input ends, which is with the host.

    So also a worker goes that takes no notice of its closed channel, and what it started. The input is
    this process's own, which has none from then on.
    """
    nowhere = subprocess.DEVNULL
    subprocess.Popen([sys.executable, "-I", "-S", "-c", WAIT], stdout=nowhere, stderr=nowhere)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)


def end_all() -> None:
    """End this process at once, with those it started if it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
