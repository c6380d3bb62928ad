"""Move components to devices that the user allows, where nothing makes them fit on their own."""

from collections.abc import Mapping
from dataclasses import replace

from latentry_sdk import DeviceReport, Placement, Plan


def fallen_back(plan: Plan, device: str, devices: Mapping[str, DeviceReport]) -> Plan | None:
    """The plan with one more component of `device` on the first fallback; None where there is none.

    The smallest component goes first; the largest, which is called at each step, last.
    """
    allowed = [name for name in plan.request.fallback if name != device and devices[name].available]
    if device in plan.request.fallback:
        allowed = [name for name in allowed if _after(plan, name, device)]
    here = [part for part, place in plan.placements.items() if place.device == device]
    if not allowed or not here:
        return None
    part = min(here, key=lambda name: plan.detected.components[name])
    dtype = plan.request.dtype if plan.request.dtype in devices[allowed[0]].dtypes else None
    moved = {**plan.placements, part: Placement(allowed[0], dtype)}
    return replace(plan, placements=moved, notes=(*plan.notes, f"{part} falls back to {allowed[0]}"))


def _after(plan: Plan, name: str, device: str) -> bool:
    """Whether `name` comes after `device` in the order of fallbacks, so that nothing goes round."""
    return plan.request.fallback.index(name) > plan.request.fallback.index(device)
