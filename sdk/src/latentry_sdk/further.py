"""Plans that a task or a stage works by beside the job's own: what a spec's `further` is written with."""

from collections.abc import Callable
from typing import Any

from latentry.plan import Plan
from latentry.request import Request, parsed

__all__ = ["Plan", "Planned", "like"]

Planned = Callable[[Request], Plan]
"""Makes a plan of a request; raises `UserError` as planning the job itself does."""


def like(plan: Plan, where: str, **changes: Any) -> Request:
    """The request of `plan` with other fields, and with its seed where that was drawn.

    Raises `InvalidRequest`, which begins with `where`, for a field out of range.
    """
    fields = {**dict(plan.request), "seed": plan.seeds[0], **changes}
    return parsed(Request, fields, where=f"{where}: ")
