"""What every schedule is made with: even fractions, and checks of the levels and of their highest."""

from collections.abc import Iterable
from itertools import pairwise

from latentry_sdk import InvalidRequest, ModelRange


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


def check_end(name: str, sigma: float, model_range: ModelRange) -> None:
    """Refuse a highest level that there is no picture for: a flow model's 1 is noise alone."""
    if model_range.space == "flow" and sigma > 1:
        raise InvalidRequest(f"{name} {sigma:g} is above 1, where a flow model ends", fix="give 1 or less")
