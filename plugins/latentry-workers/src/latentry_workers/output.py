"""What a worker prints goes to the host's log, as much of it as anybody could read."""

import logging
import threading
import time
from collections import deque
from typing import IO

log = logging.getLogger("latentry.workers")
PART = 1 << 16
MINUTE = 60.0
LONGEST = 2_000
"""Bytes of a line that are logged."""

ALLOWED = 1 << 17
"""Bytes that are logged in a minute, where a line counts as 64 at least. The rest is read and left out."""


class Output(threading.Thread):
    """Reads a worker's output to its end, so that the worker never waits; keeps the last lines."""

    def __init__(self, worker: str, pipe: IO[bytes]) -> None:
        super().__init__(name=f"output of worker {worker}", daemon=True)
        self._worker, self._pipe = worker, pipe
        self._began, self._left, self._dropped = time.monotonic(), ALLOWED, 0
        self.last: deque[str] = deque(maxlen=20)
        self.start()

    def run(self) -> None:
        """Read, split into lines, log."""
        rest = b""
        while part := self._pipe.read(PART):
            if not self._allowed():
                self._dropped += len(rest) + len(part)
                rest = b""
                continue
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._log(line)
            if len(rest) > LONGEST:
                self._log(rest)
                rest = b""
        if rest:
            self._log(rest)
        self._tell_dropped()
        self._pipe.close()

    def _allowed(self) -> bool:
        """Whether more may be logged in this minute."""
        if time.monotonic() - self._began > MINUTE:
            self._began, self._left = time.monotonic(), ALLOWED
            self._tell_dropped()
        return self._left > 0

    def _log(self, line: bytes) -> None:
        if self._left <= 0:
            self._dropped += len(line) + 1
            return
        self._left -= max(min(len(line), LONGEST), 64)
        self._dropped += max(len(line) - LONGEST, 0)
        text = _printable(line[:LONGEST].decode("utf-8", "replace").rstrip("\r"))
        self.last.append(text)
        log.info("%s: %s", self._worker, text)

    def _tell_dropped(self) -> None:
        if self._dropped:
            log.warning("worker %r printed %d bytes more, left out here", self._worker, self._dropped)
            self._dropped = 0


def _printable(text: str) -> str:
    """The text with a question mark for what would move a terminal's cursor or look like another line."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "?" for letter in text)
