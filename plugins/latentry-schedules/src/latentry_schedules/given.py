"""Schedules that the user writes out: noise levels, or training timesteps."""

from collections.abc import Sequence
from itertools import pairwise

from latentry_schedules.falling import check_end, falling
from latentry_schedules.options import LOWEST
from latentry_sdk import InvalidRequest, ModelRange, sigma_at


def given_sigmas(
    steps: int, model_range: ModelRange, /, *, values: tuple[float, ...] = ()
) -> tuple[float, ...]:
    """These noise levels, highest first; the 0 at the end may be left out."""
    levels = values[:-1] if values[-1:] == (0,) else values
    _check("sigmas", levels, steps)
    check_end("the level", levels[0], model_range)
    if levels[-1] < LOWEST:
        raise InvalidRequest(f"sigmas: {levels[-1]:g} is below {LOWEST:g}, the lowest level above 0")
    return falling(levels)


def given_timesteps(
    steps: int, model_range: ModelRange, /, *, values: tuple[float, ...] = ()
) -> tuple[float, ...]:
    """The model's levels at these training timesteps, highest first; 0 is the lowest trained one."""
    _check("timesteps", values, steps)
    if values[0] > (last := len(model_range.sigmas) - 1):
        raise InvalidRequest(f"timesteps: {values[0]:g} is above {last}, the model's last timestep")
    return falling(sigma_at(model_range, value) for value in values)


def _check(name: str, values: Sequence[float], steps: int) -> None:
    if not values:
        raise InvalidRequest(f"scheduler {name!r} has no values", fix=f"give {name}.values, {steps} of them")
    if len(values) != steps:
        raise InvalidRequest(
            f"{name}: the number of values, {len(values)}, is not that of steps, {steps}",
            fix=f"ask for {len(values)}",
        )
    for now, nxt in pairwise(values):
        if nxt >= now:
            raise InvalidRequest(f"{name}: values must fall, but {now:g} is followed by {nxt:g}")
