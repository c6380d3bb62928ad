"""Forget old jobs where that is wanted, and take away bytes that no job needs."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import Queue

log = logging.getLogger(__name__)
HOUR = 3600.0
DAY = 24 * HOUR
"""How long bytes are kept that no job names."""

PAGE = 200


@dataclass(frozen=True)
class Sweeper:
    """Sweeps a queue and its blobs; jobs are forgotten `days` after their end, None keeps them for ever."""

    queue: Queue
    blobs: Blobs
    days: float | None = None

    def run(self, closed: threading.Event) -> None:
        """Sweep now and each hour, until the server is closed; what fails is tried again."""
        while True:
            try:
                self._tidy(time.time())
            except Exception:
                log.exception("sweeping failed")
            if closed.wait(HOUR):
                return

    def _tidy(self, now: float) -> None:
        if self.days is not None and (forgotten := self.queue.forget(now - self.days * DAY)):
            log.info("%d jobs were forgotten", forgotten)
        if swept := self.sweep(now - DAY):
            log.info("%d files that no job needs were taken away", swept)

    def sweep(self, before: float) -> int:
        """Take away what no job names and nobody has sent since `before`, in seconds since 1970; how many."""
        old = {digest for digest in self.blobs.digests() if self._kept(digest) < before}
        unused = old.difference(self._named()) if old else set()
        swept = [digest for digest in unused if self._kept(digest) < before]  # nobody has sent it meanwhile
        for digest in swept:
            self.blobs.remove(digest)
        return len(swept)

    def _kept(self, digest: str) -> float:
        return self.blobs.path(digest).stat().st_mtime

    def _named(self) -> Iterator[str]:
        """The digests of all jobs' inputs and artifacts."""
        before = None
        while jobs := self.queue.jobs(before=before, limit=PAGE):
            before = jobs[-1].id
            for job in jobs:
                yield from job.submission.request.get("inputs", {}).values()
                yield from (one.digest for one in (job.outcome.artifacts if job.outcome else ()))
