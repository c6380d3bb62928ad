"""What a worker prints goes to the host's log, as much of it as anybody could read."""

import logging
import re
import threading
import time
from collections import deque
from typing import IO

log = logging.getLogger("latentry.workers")
UNPRINTABLE = re.compile(r"[^\t -~\u00a0-\U0010ffff]")
PART = 1 << 16
LINE = 2_000
"""Characters of the longest line."""

ALLOWED = 1 << 17
"""Bytes a minute that are logged; the rest is read, counted and dropped."""


class Output(threading.Thread):
    """Reads a worker's output to its end, so that the worker never waits; keeps the last lines."""

    def __init__(self, worker: str, pipe: IO[bytes]) -> None:
        super().__init__(name=f"output of {worker}", daemon=True)
        self._worker, self._pipe = worker, pipe
        self._minute, self._logged, self._dropped = time.monotonic(), 0, 0
        self.last: deque[str] = deque(maxlen=20)
        self.start()

    def run(self) -> None:
        """Read, split into lines, log."""
        rest = b""
        while part := self._pipe.read(PART):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._take(line)
            if len(rest) > LINE:
                self._take(rest)
                rest = b""
        if rest:
            self._take(rest)
        self._pipe.close()

    def _take(self, line: bytes) -> None:
        if time.monotonic() - self._minute > 60:
            self._minute, self._logged = time.monotonic(), 0
        if self._logged + len(line) > ALLOWED:
            self._dropped += len(line)
            return
        if self._dropped:
            log.warning("%s printed %d bytes more, which are left out", self._worker, self._dropped)
            self._dropped = 0
        self._logged += len(line) + 1
        text = UNPRINTABLE.sub("?", line[:LINE].decode("utf-8", "replace"))
        self.last.append(text)
        log.info("%s: %s", self._worker, text)
