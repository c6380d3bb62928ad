"""Plans that a task or a stage works by beside the job's own: what a spec's `further` is written with."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from latentry.events import Event, Stepped
from latentry.job import Job
from latentry.plan import Plan
from latentry.request import Request, parsed
from latentry_sdk.previews import Previewed

Planned = Callable[[Request], Plan]
"""Makes a plan of a request; raises `UserError` as planning the job itself does."""


def like(plan: Plan, where: str, **changes: Any) -> Request:
    """The request of `plan` with other fields, and with its seed where that was drawn.

    Raises `InvalidRequest`, which begins with `where`, for a field out of range.
    """
    fields = {**dict(plan.request), "seed": plan.seeds[0], **changes}
    return parsed(Request, fields, where=f"{where}: ")


def counted(job: Job, *, before: int, total: int) -> Callable[[Event], None]:
    """A `notify` that tells the job's listeners of steps as those after the first `before` of `total`.

    A job of its own plan that is made with it stops where `job` is stopped, at its next event.
    """

    def notify(event: Event) -> None:
        job.check_cancelled()
        if isinstance(event, Stepped | Previewed):
            event = replace(event, step=before + event.step, steps=total)
        job.notify(event)

    return notify
