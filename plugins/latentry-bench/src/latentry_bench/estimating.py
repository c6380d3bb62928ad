"""Say how long a job takes: as it was measured here, or reckoned from what is known of its devices."""

from collections.abc import Mapping
from dataclasses import replace
from math import log

from latentry_bench.profile import Entry, Profile, of_this_machine
from latentry_sdk import DeviceReport, Placement, Plan

Reports = Mapping[str, DeviceReport]


def measured(entry: Entry, plan: Plan) -> float | None:
    """Seconds of one picture of a plan that goes by the entry: as measured, and a step's time for each more.

    None where another task, size or guidance was measured, or no step.
    """
    request = plan.request
    alike = (entry.task, entry.size, entry.guided) == (plan.task.name, plan.size, request.guidance > 1)
    if not alike or not entry.steps or entry.step is None:
        return None
    return max(entry.picture + (request.steps - entry.steps) * entry.step, request.steps * entry.step)


def timed(plan: Plan, reports: Reports) -> Plan:
    """The plan with its seconds, where they can be reckoned and are not known from such a job."""
    if plan.seconds is not None:
        return plan
    return replace(plan, seconds=reckoned(plan, reports, of_this_machine()[0]))


def reckoned(plan: Plan, reports: Reports, profile: Profile | None) -> float | None:
    """Seconds of the job and of what it does by further plans: operations over the speed of their devices."""
    seconds = [other.seconds for other in plan.further.values() if other]
    for part, place in plan.placements.items():
        if asked := plan.family.operations(plan, part):
            step = asked / (len(plan.sigmas) - 1)
            speed = speed_of(place, reports[place.device], profile, step)
            seconds.append(asked / speed if speed else None)
    known = [each for each in seconds if each is not None]
    return sum(known) if known and len(known) == len(seconds) else None


def speed_of(place: Placement, report: DeviceReport, profile: Profile | None, step: float) -> float | None:
    """Operations with floats a second: as measured there in that type, of steps nearest to `step` operations.

    Where nothing was measured, what the device's report says.
    """
    where = (place.device, place.dtype or report.dtypes[0], report.detail)
    rates = profile.rates if profile else ()
    there = [rate for rate in rates if (rate.device, rate.dtype, rate.detail) == where]
    nearest = min(there, key=lambda rate: abs(log(rate.operations / step)), default=None)
    return nearest.speed if nearest else report.speed.get(where[1])
