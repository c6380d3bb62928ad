"""Print what it costs to run jobs in a worker process instead of in process.

    python tests/benchmarks/workers.py --runs 10

The same jobs of the embedded model run in turns here, by the executor `inline`, and in a worker. "throughput"
is the inline executor's median time over the worker's; "of the processor" is the same for the processor time
that both processes took, which other programs disturb less. A server's workers give way to other programs;
here one does so only with `--nice`. "start" is from opening the executor until its worker takes jobs, "first
event" from handing in a job until its `Started`, both with the toy's model and the plugins that it needs.
Aims: a throughput of at least 0.95, and a first event within 0.1 s.
"""

import argparse
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter, sleep
from typing import Any

import psutil

from latentry import Config, Host, Request
from latentry_sdk import Event, Started

JOB: dict[str, Any] = {
    "task": "txt2img",
    "prompt": "a red apple on a blue background",
    "width": 64,
    "height": 64,
}
Seconds = tuple[float, float]
"""Of the clock and of the processor."""


def worker_host(nice: int, plugins: tuple[str, ...] | None = None) -> Host:
    """A host with one worker."""
    options = {"workers": {"processes": {"worker": {"nice": nice}}}}
    return Host(config=Config(executor="workers", plugins=plugins, options=options))


def processor() -> float:
    """Seconds of the processor that this process and those it started have taken."""
    here = psutil.Process()
    times = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def timed(host: Host, request: Request) -> Seconds:
    """What one job takes."""
    began, before = perf_counter(), processor()
    host.run(request)
    return perf_counter() - began, processor() - before


def jobs_in_turns(hosts: Sequence[Host], steps: int, runs: int) -> list[list[Seconds]]:
    """What every job takes on each host, after a first that loads the model."""
    found: list[list[Seconds]] = [[] for _ in hosts]
    for host in hosts:
        host.run(Request(**JOB, steps=1))
    for seed in range(runs):
        for place, host in enumerate(hosts):
            found[place].append(timed(host, Request(**JOB, steps=steps, seed=seed)))
    return found


def start_seconds(runs: int, nice: int) -> list[float]:
    """How long a worker takes until it is ready for jobs."""

    def once() -> float:
        with worker_host(nice, ("toy", "workers")) as host:
            began = perf_counter()
            while not host.executor.ready:  # type: ignore[attr-defined]
                sleep(0.001)
            return perf_counter() - began

    return [once() for _ in range(runs)]


def first_event_seconds(runs: int, nice: int) -> list[float]:
    """How long after handing in a job its first event comes, with a worker that has its model loaded."""
    toy = Request(task="toy", prompt="a cross", steps=1)
    with worker_host(nice, ("toy", "workers")) as host:
        host.run(toy)
        return [until(lambda seen: host.run(toy, on_event=seen), Started) for _ in range(10 * runs)]


def until(run: Callable[[Callable[[Event], None]], object], kind: type[Event]) -> float:
    """Seconds from calling `run` to the first event of this kind."""
    came: list[float] = []
    began = perf_counter()
    run(lambda event: came.append(perf_counter()) if isinstance(event, kind) else None)
    return came[0] - began


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="Print what worker processes cost.")
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="jobs on each side")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="sampling steps of a job")
    parser.add_argument("--nice", type=int, default=0, metavar="N", help="how much the worker gives way")
    given = parser.parse_args(arguments)
    with Host(config=Config()) as here, worker_host(given.nice) as there:
        inline, workers = jobs_in_turns((here, there), given.steps, given.runs)
    for index, name in enumerate(("throughput", "of the processor")):
        mine, theirs = (median(job[index] for job in jobs) for jobs in (inline, workers))
        print(f"{name:18} {mine / theirs:6.3f}   inline {mine:.3f} s, worker {theirs:.3f} s a job")
    for name, seconds in (
        ("start", start_seconds(min(given.runs, 5), given.nice)),
        ("first event", first_event_seconds(given.runs, given.nice)),
    ):
        print(f"{name:18} {median(seconds):6.3f} s, slowest {max(seconds):.3f} s")


if __name__ == "__main__":
    main()
