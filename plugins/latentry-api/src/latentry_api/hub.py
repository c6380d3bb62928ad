"""Tell those who watch a job what happens to it, at once and without the store."""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from latentry_sdk import Preview
from latentry_sdk.queue import KeptEvent

News = KeptEvent | Preview | None
"""Something live, or None: the job changed in the store."""

MOST_PENDING = 256
"""News that a slow watcher may fall behind; what it loses of kept events it reads from the store."""


class Watcher:
    """One who watches a job on an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: deque[News] = deque(maxlen=MOST_PENDING)
        self._some = asyncio.Event()

    def tell(self, news: News) -> None:
        """From any thread: add to what the watcher has not read yet."""
        with suppress(RuntimeError):  # the loop was closed: nobody watches any more
            self._loop.call_soon_threadsafe(self._add, news)

    async def news(self, seconds: float) -> list[News]:
        """All there is; waits so long for the first, and gives nothing after that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._some.wait()
        found = list(self._pending)
        self._pending.clear()
        self._some.clear()
        return found

    def _add(self, news: News) -> None:
        self._pending.append(news)
        self._some.set()


class Hub:
    """Watchers by job, and what is known of running jobs between two writes to the store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: defaultdict[str, list[Watcher]] = defaultdict(list)
        self._previews: dict[str, Preview] = {}
        self._progress: dict[str, float] = {}
        self.changes = 0

    def publish(self, job: str, news: News) -> None:
        """Tell every watcher of the job; from any thread. `changes` counts the changes in the store."""
        with self._lock:
            self.changes += news is None
            if isinstance(news, Preview):
                self._previews[job] = news
            watchers = tuple(self._watchers.get(job, ()))
        for watcher in watchers:
            watcher.tell(news)

    def advance(self, job: str, progress: float) -> None:
        """Remember how far a running job is, from 0 to 1; it does not go back."""
        self._progress[job] = max(progress, self.progress(job))

    def progress(self, job: str) -> float:
        """How far the job is as far as this process knows."""
        return self._progress.get(job, 0.0)

    def preview(self, job: str) -> Preview | None:
        """The newest preview of a running job."""
        return self._previews.get(job)

    def forget(self, job: str) -> None:
        """Drop what is remembered of a job that no longer runs, and tell its watchers that it changed."""
        self._previews.pop(job, None)
        self._progress.pop(job, None)
        self.publish(job, None)

    @contextmanager
    def watching(self, job: str) -> Iterator[Watcher]:
        """A watcher of the job for as long as this lasts; on an event loop."""
        watcher = Watcher()
        with self._lock:
            self._watchers[job].append(watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers[job].remove(watcher)
                if not self._watchers[job]:
                    del self._watchers[job]
