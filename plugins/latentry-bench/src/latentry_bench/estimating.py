"""Say how long a picture takes that is like the one by which this machine was measured."""

from latentry_bench.profile import Entry
from latentry_bench.words import time
from latentry_sdk import Plan


def seconds(entry: Entry, plan: Plan) -> float | None:
    """Of one picture of a plan that goes by the entry: what was measured, and a step's time for each more.

    None where another task, size or guidance was measured, or no step.
    """
    request = plan.request
    alike = (entry.task, entry.size, entry.guided) == (plan.task.name, plan.size, request.guidance > 1)
    if not alike or not entry.steps or entry.step is None:
        return None
    return max(entry.picture + (request.steps - entry.steps) * entry.step, request.steps * entry.step)


def told(entry: Entry, plan: Plan) -> str:
    """The same in words, to be put after others; nothing where it is not known."""
    found = seconds(entry, plan)
    return "" if found is None else f"; about {time(found)} a picture"
