"""What every schedule is made with: even fractions, and a check that the levels fall."""

from collections.abc import Iterable
from itertools import pairwise

from latentry_sdk import InvalidRequest


def fractions(steps: int) -> tuple[float, ...]:
    """`steps` numbers evenly from 0 to 1; just 0 for one step."""
    return tuple(i / max(steps - 1, 1) for i in range(steps))


def falling(levels: Iterable[float]) -> tuple[float, ...]:
    """The levels and a final 0; `InvalidRequest` where two steps would be at the same level."""
    sigmas = (*levels, 0.0)
    if any(nxt >= now for now, nxt in pairwise(sigmas)):
        raise InvalidRequest(
            f"{len(sigmas) - 1} steps are too many for this schedule: some fall on the same noise level",
            fix="ask for fewer steps or leave the schedule's options as they are",
        )
    return sigmas
