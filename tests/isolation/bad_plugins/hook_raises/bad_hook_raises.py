"""A hook raises, with a message of two lines."""

from collections.abc import Sequence

from latentry_sdk import SchedulerSpec, hookimpl


@hookimpl
def register_schedulers() -> Sequence[SchedulerSpec]:
    """Fail."""
    raise RuntimeError("the weather\nis bad")
