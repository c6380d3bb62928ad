"""Schedules that leave out their last level above 0, so that the last step is from the one before it."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

from latentry_sdk import ModelRange

Schedule = Callable[..., tuple[float, ...]]


def skipping_last(schedule: Schedule) -> Schedule:
    """The schedule with an option `skip_last`, by which it works out one level more and leaves one out.

    A1111 and ComfyUI call it discarding the penultimate sigma.
    """

    def sigmas(
        steps: int, model_range: ModelRange, /, *, skip_last: bool = False, **options: Any
    ) -> tuple[float, ...]:
        levels = schedule(steps + skip_last, model_range, **options)
        return (*levels[:-2], 0.0) if skip_last else levels

    taken = signature(schedule)
    further = Parameter("skip_last", Parameter.KEYWORD_ONLY, default=False, annotation=bool)
    sigmas.__signature__ = taken.replace(parameters=[*taken.parameters.values(), further])  # type: ignore[attr-defined]
    return sigmas
