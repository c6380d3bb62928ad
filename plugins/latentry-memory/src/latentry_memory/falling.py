"""Move components to devices that the user allows, where nothing makes them fit on their own."""

from collections.abc import Mapping
from dataclasses import replace

from latentry_sdk import DeviceReport, Placement, Plan


def fallen_back(plan: Plan, device: str, devices: Mapping[str, DeviceReport]) -> Plan | None:
    """The plan with one more component of `device` on the first fallback; None where there is none.

    The smallest component goes first; the largest, which is called at each step, last.
    """
    order = fallbacks(plan, devices)
    allowed = [name for name in order if name != device and devices[name].available]
    if device in order:
        allowed = [name for name in allowed if order.index(name) > order.index(device)]  # never round
    here = [part for part, place in plan.placements.items() if place.device == device]
    if not allowed or not here:
        return None
    part = min(here, key=lambda name: plan.detected.components[name])
    dtype = plan.request.dtype if plan.request.dtype in devices[allowed[0]].dtypes else None
    moved = {**plan.placements, part: Placement(allowed[0], dtype)}
    return replace(plan, placements=moved, notes=(*plan.notes, f"{part} falls back to {allowed[0]}"))


def fallbacks(plan: Plan, devices: Mapping[str, DeviceReport]) -> list[str]:
    """The devices that the request allows, in order, by their own names, in whatever case it has them."""
    own = {name.lower(): name for name in devices}
    return [own[name.lower()] for name in plan.request.fallback if name.lower() in own]


def replaced(plan: Plan, devices: Mapping[str, DeviceReport]) -> list[str]:
    """What already runs on a fallback, since the device that the user named for it is not there: notes."""
    allowed, place = fallbacks(plan, devices), plan.request.place
    found = []
    for part, given in plan.placements.items():
        named = place.get(part, place.get("*"))
        if named is not None and named.lower() != given.device.lower() and given.device in allowed:
            found.append(f"{part} falls back to {given.device}")
    return found
