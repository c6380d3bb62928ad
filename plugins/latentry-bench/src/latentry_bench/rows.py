"""What was found of each way of running the job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from latentry_bench.candidates import Candidate
from latentry_bench.pictures import Difference
from latentry_bench.roofline import Peak, Work, bound, share

Status = Literal["measured", "failed", "timeout", "unfit"]
"""`unfit`: the device refused the optimizer, and nothing was measured."""


@dataclass(frozen=True)
class Spread:
    """Seconds: the median of `count` measurements, the least and the most."""

    median: float
    least: float
    most: float
    count: int


def spread(seconds: Sequence[float]) -> Spread | None:
    """Of these; None of none."""
    return Spread(median(seconds), min(seconds), max(seconds), len(seconds)) if seconds else None


@dataclass(frozen=True)
class Row:
    """One way, and how it went. Times are in seconds, memory in bytes.

    `first` is the first job of a new process; `work` is that of a step, and `peak` what bounds it, where
    both are known; `own_peak` says that the peak is the device's own, not that of the processor's torch.
    """

    candidate: Candidate
    status: Status
    why: str | None = None
    first: float | None = None
    picture: Spread | None = None
    step: Spread | None = None
    memory: int | None = None
    memory_of: str | None = None
    difference: Difference | None = None
    work: Work | None = None
    peak: Peak | None = None
    own_peak: bool = True
    changeable: bool = False
    optimized: tuple[str, ...] = ()
    dtypes: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    @property
    def bound(self) -> float | None:
        """The least seconds of a step by the roofline."""
        return bound(self.work, self.peak) if self.work and self.peak else None

    @property
    def share(self) -> float | None:
        """The share of the roofline that a step reaches."""
        if self.work and self.peak and self.step:
            return share(self.work, self.peak, self.step.median)
        return None


def winner(rows: Sequence[Row], *, approximate: bool) -> Row | None:
    """The fastest whose picture is the reference's, or alike; one that declares another if `approximate`.

    Where times of its way without optimizers are among its own, these are not known to gain: that way wins.
    """
    fit = {row.candidate: row for row in rows if row.picture is not None and _may_win(row, approximate)}
    won = min(fit.values(), key=lambda row: row.picture.median if row.picture else 0.0, default=None)
    plain = fit.get(won.candidate.plain) if won else None
    if won and plain and won.picture and plain.picture and plain.picture.least <= won.picture.most:
        return plain
    return won


def _may_win(row: Row, approximate: bool) -> bool:
    if row.status != "measured":
        return False
    if row.candidate.approximate:
        return approximate
    return row.difference is None or row.difference.word != "no"
