"""How near a measured time is to what the machine could do at most."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peak:
    """What a device does at most: operations with floats, and bytes moved, in a second.

    `where` is the torch device that was measured, `dtype` the type that its matrices were of.
    """

    flops: float
    bandwidth: float
    where: str
    dtype: str


@dataclass(frozen=True)
class Work:
    """What is to be done: operations with floats, a product and a sum being two; and bytes to be moved."""

    flops: float
    bytes: float


def bound(work: Work, peak: Peak) -> float:
    """The least seconds that the work can take: max(flops / peak flops, bytes / peak bandwidth).

    The roofline of Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
    multicore architectures", Communications of the ACM 52(4), 2009, which states it as a rate: attainable
    flops = min(peak flops, bandwidth · intensity).
    """
    return max(work.flops / peak.flops, work.bytes / peak.bandwidth)


def share(work: Work, peak: Peak, seconds: float) -> float:
    """The part of the roofline that was reached: the bound over the measured time; 1 is all of it."""
    return bound(work, peak) / seconds


def best(peaks: "list[Peak]") -> Peak:
    """One peak of several probes of the same: a busy machine makes some of them too low."""
    first = peaks[0]
    flops, bandwidth = max(peak.flops for peak in peaks), max(peak.bandwidth for peak in peaks)
    return Peak(flops, bandwidth, first.where, first.dtype)
