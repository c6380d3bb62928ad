"""See to it that no process outlives the host that started it."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when the thread that started it ends."""


def die_with_parent() -> None:
    """Have Linux end this process with its parent, in whatever call it is then.

    Elsewhere, and where the parent has ended already, the closed channel has to do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_all() -> None:
    """End this process at once, with those it started if it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
