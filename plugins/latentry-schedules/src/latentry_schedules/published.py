"""Schedules that were searched for by their authors, as tables."""

from math import exp, log

from latentry_schedules.falling import falling, fractions
from latentry_sdk import InvalidRequest, ModelRange

ALIGN_YOUR_STEPS = {
    "sd1": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}
"""The levels of 10 steps by model, arXiv:2404.14507; the last, the model's lowest, gives way to 0."""

TOLERANCE = 0.01
"""How far, in proportion, the table's ends may lie outside the model's range: they are rounded."""


def align_your_steps(steps: int, model_range: ModelRange, /, *, table: str = "sd1") -> tuple[float, ...]:
    """The table's levels for 10 steps; for others, even fractions of it, log sigma linear between entries.

    Stable Diffusion 1 and XL have the same range, so which of them it is cannot be seen from here.
    """
    known = ALIGN_YOUR_STEPS[table]
    _check_covered(known, model_range)
    low, high = model_range.sigma_min, model_range.sigma_max
    levels = (_interpolated(known, part * (len(known) - 1)) for part in fractions(steps + 1)[:-1])
    return falling(min(max(level, low), high) for level in levels)


def _interpolated(known: tuple[float, ...], place: float) -> float:
    """The entry at a fractional place; exact where the place is whole."""
    index = min(int(place), len(known) - 2)
    part = place - index
    return exp((1 - part) * log(known[index]) + part * log(known[index + 1])) if part else known[index]


def _check_covered(known: tuple[float, ...], model_range: ModelRange) -> None:
    low, high = model_range.sigma_min, model_range.sigma_max
    if low > known[-1] * (1 + TOLERANCE) or high < known[0] * (1 - TOLERANCE):
        raise InvalidRequest(
            f"align_your_steps was made for levels from {known[-1]:g} to {known[0]:g}; "
            f"this model has {low:.3g} to {high:.3g}",
            fix="name another scheduler",
        )
