"""A hook takes a minute."""

import time
from collections.abc import Sequence

from latentry_sdk import SchedulerSpec, hookimpl


@hookimpl
def register_schedulers() -> Sequence[SchedulerSpec]:
    """Give nothing, late."""
    time.sleep(60)
    return []
