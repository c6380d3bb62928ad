"""Schedules over levels with zero terminal SNR, or without: the user's choice before the checkpoint's."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

from latentry_sdk import ModelRange
from latentry_sdk.levels import with_zero_snr

Schedule = Callable[..., tuple[float, ...]]


def choosing_snr(schedule: Schedule) -> Schedule:
    """The schedule with a further option `zero_snr`, which changes the levels that it is given."""

    def sigmas(
        steps: int, model_range: ModelRange, /, *, zero_snr: bool | None = None, **options: Any
    ) -> tuple[float, ...]:
        return schedule(steps, with_zero_snr(model_range, zero_snr), **options)

    taken = signature(schedule)
    further = Parameter("zero_snr", Parameter.KEYWORD_ONLY, default=None, annotation=bool | None)
    sigmas.__signature__ = taken.replace(parameters=[*taken.parameters.values(), further])  # type: ignore[attr-defined]
    return sigmas
