"""What the tests of a queue share."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

from latentry_sdk.queue import Claim, KeptArtifact, Queue, QueuedJob, Submission

R = TypeVar("R")
Opening = Callable[[], Queue]

FOREVER = 3600.0
"""Seconds of a lease that does not run out during a test."""

BRIEFLY = 0.02
"""Seconds of a lease or a time-out that a test waits for."""


def submission(number: int = 0, **more: Any) -> Submission:
    """A job that can be told from others by its number."""
    return Submission({"task": "toy", "prompt": f"number {number}", "seed": number}, **more)


def submitted(queue: Queue, count: int, **more: Any) -> list[QueuedJob]:
    """So many jobs, one after the other."""
    return [queue.submit(submission(number, **more)) for number in range(count)]


def claimed(queue: Queue, seconds: float = FOREVER) -> Claim:
    """The next job, which must be there."""
    claim = queue.claim("worker", seconds)
    assert claim is not None, "a job waits, but none is given"
    return claim


def all_claims(queue: Queue, worker: str = "worker") -> Iterator[Claim]:
    """Claims until there are no more."""
    while claim := queue.claim(worker, FOREVER):
        yield claim


def artifact(name: str, number: int = 0) -> KeptArtifact:
    """An artifact with the largest seed there is."""
    return KeptArtifact(f"{name}-{number}", f"{number:064x}", "image/png", 2**40 + number, 2**64 - 1)


def at_once(count: int, work: Callable[[int], R]) -> list[R]:
    """What `work(0)`, `work(1)` … give in threads that begin together."""
    barrier = Barrier(count)

    def begin(number: int) -> R:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(begin, range(count)))
