"""Time a job and its sampling steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter

from latentry_bench.peaks import settle
from latentry_sdk import Event, Host, Request, Result, StageStarted, Stepped


@dataclass(frozen=True)
class Timed:
    """A job's result, its seconds from the request to the file, and those of each sampling step."""

    result: Result
    seconds: float
    steps: Sequence[float]


@dataclass
class Clock:
    """Takes the time at the start of sampling and when each step's picture is computed."""

    times: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Note the time, when the accelerator has done what it was given."""
        if isinstance(event, Stepped) or (isinstance(event, StageStarted) and event.stage == "sample"):
            settle()
            self.times.append(perf_counter())


def timed(host: Host, request: Request) -> Timed:
    """Run the job."""
    clock, began = Clock(), perf_counter()
    result = host.run(request, on_event=clock)
    seconds = perf_counter() - began
    return Timed(result, seconds, [now - before for before, now in pairwise(clock.times)])
