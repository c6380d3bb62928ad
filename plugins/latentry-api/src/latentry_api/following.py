"""Follow one job: what the store keeps of it, and what is told live, without a gap."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from time import monotonic

from anyio.to_thread import run_sync

from latentry_api.hub import Hub
from latentry_sdk import Preview
from latentry_sdk.queue import ENDED, KeptEvent, Queue, QueuedJob

LOOK_AGAIN = 5.0
"""Seconds after which the store is asked again, for what other hosts did to a job."""


@dataclass(frozen=True)
class Follower:
    """Follows the job that `read` gives, which raises where the job may not be seen."""

    id: str
    read: Callable[[], QueuedJob]
    queue: Queue
    hub: Hub

    async def end(self, seconds: float | None) -> QueuedJob:
        """The job when it ends, or as it is after so many seconds."""
        until = None if seconds is None else monotonic() + seconds
        with self.hub.watching(self.id) as watcher:
            while True:
                found = await run_sync(self.read)
                left = _left(until)
                if found.status in ENDED or left <= 0:
                    return found
                while (news := await watcher.news(left)) and None not in news:
                    left = _left(until)

    async def events(self, after: int) -> AsyncIterator[KeptEvent | Preview]:
        """The kept events above number `after`, then live ones and previews, until the job ends."""
        number = after
        with self.hub.watching(self.id) as watcher:
            while True:
                found = await run_sync(self.read)
                for event in await run_sync(self.queue.events, self.id, number):
                    number = event.number
                    yield event
                if found.status in ENDED:
                    return
                for news in await watcher.news(LOOK_AGAIN):
                    if isinstance(news, Preview) or (news and news.number == 0):
                        yield news
                    elif news and news.number == number + 1:
                        number = news.number
                        yield news


def _left(until: float | None) -> float:
    return LOOK_AGAIN if until is None else max(min(until - monotonic(), LOOK_AGAIN), 0.0)
