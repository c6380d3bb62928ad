"""Print how long a queue takes for a job, by how many wait: medians in milliseconds, the least in brackets.

    python tests/benchmarks/queues.py --rounds 50 --plot docs/pictures/queue-length.svg

In each round a job is submitted, claimed, renewed, given an event and finished, so that as many wait after
it as before. With SQLite the time is mostly the disk's: `TMPDIR=/dev/shm` shows the rest. With
`LATENTRY_DATABASE_URL` PostgreSQL is measured, in a database that must hold no jobs.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

from latentry_sdk.queue import Claim, Outcome, Submission
from latentry_store_sql.accepting import accept
from latentry_store_sql.opening import open_queue
from latentry_store_sql.queue import SqlQueue

T = TypeVar("T")
LENGTHS = (10, 100, 1_000, 10_000)
STEPS = ("submit", "claim", "renew", "append", "finish", "list", "cancel")


class Stopwatch:
    """Milliseconds by name."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {name: [] for name in STEPS}

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """What the work gives, once its time is written down."""
        began = perf_counter()
        given = work()
        self.times[name].append((perf_counter() - began) * 1e3)
        return given


@contextmanager
def opened(limit: int) -> Iterator[SqlQueue]:
    """An empty queue that takes so many jobs."""
    os.environ["LATENTRY_QUEUE_LIMIT"] = str(limit)
    with tempfile.TemporaryDirectory() as folder:
        queue = open_queue(Path(folder))
        yield queue
        queue.close()


def fill(queue: SqlQueue, length: int, owners: int) -> None:
    """Put jobs in until so many wait, in one transaction."""
    missing = range(queue.counts()["queued"], length)
    with queue._changes() as changes:
        for number in missing:
            accept(changes, job(number, owners))


def job(number: int, owners: int) -> Submission:
    """A job like those that servers get."""
    request = {
        "task": "txt2img",
        "prompt": f"a red apple on a blue background, number {number}",
        "seed": number,
    }
    return Submission(request, owner=f"owner {number % owners}")


def one_round(queue: SqlQueue, timed: Stopwatch, number: int, owners: int) -> None:
    """All that happens to a job, and one that is cancelled."""
    timed("submit", lambda: queue.submit(job(number, owners)))
    claim: Claim | None = timed("claim", lambda: queue.claim("benchmark", 60))
    assert claim is not None
    held = claim
    timed("renew", lambda: queue.renew(held, 60, 0.5))
    timed("append", lambda: queue.append(held, "step", {"step": 1}))
    timed("finish", lambda: queue.finish(held, Outcome("done")))
    timed("list", lambda: queue.jobs(limit=50))
    extra = queue.submit(job(number, owners))
    timed("cancel", lambda: queue.cancel(extra.id))


def table(owners: int, lengths: Sequence[int], rounds: int) -> Mapping[int, Mapping[str, list[float]]]:
    """Print a line for each length; the milliseconds of each step by length."""
    measured: dict[int, Mapping[str, list[float]]] = {}
    print(f"\n{owners} owner(s)\n{'waiting':>8}", *(f"{name:>16}" for name in STEPS))
    with opened(max(lengths) + 2) as queue:
        for length in sorted(lengths):
            fill(queue, length, owners)
            timed = Stopwatch()
            for number in range(rounds):
                one_round(queue, timed, length + number, owners)
            cells = (f"{median(all_):.1f} ({min(all_):.1f})" for all_ in timed.times.values())
            print(f"{length:>8}", *(f"{cell:>16}" for cell in cells), flush=True)
            measured[length] = timed.times
    return measured


def plot(measured: Mapping[int, Mapping[str, list[float]]], file: Path) -> None:
    """Draw the median of each step against the number of waiting jobs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for step in STEPS:
        axes.plot(list(measured), [median(times[step]) for times in measured.values()], "o-", label=step)
    axes.set(xscale="log", xlabel="jobs that wait", ylabel="median, milliseconds", ylim=(0, None))
    axes.legend(ncols=2)
    figure.savefig(file)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="Print how long a queue takes, by how many jobs wait.")
    parser.add_argument("--rounds", type=int, default=50, metavar="N")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, metavar="N")
    parser.add_argument("--owners", type=int, default=1, metavar="N", help="of the jobs; they take turns")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the medians into it")
    chosen = parser.parse_args()
    measured = table(chosen.owners, chosen.lengths, chosen.rounds)
    if chosen.plot:
        plot(measured, chosen.plot)


if __name__ == "__main__":
    main()
