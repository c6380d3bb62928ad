"""Make a plan fit its devices as they are now, or say what would."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from latentry_memory.adding import Saver, added_to, free_for, offloads, savers
from latentry_memory.batching import fewer
from latentry_memory.budgets import Budget, budget_of
from latentry_memory.climbing import Part, Parts, cheapest, smallest
from latentry_memory.falling import fallen_back, replaced
from latentry_sdk import DeviceReport, OptimizerSpec, Plan, Unavailable
from latentry_sdk.footprints import footprints, largest_part, peaks, work_of

Optimizers = Mapping[str, OptimizerSpec]
Reports = Mapping[str, DeviceReport]


def fit(plan: Plan, optimizers: Optimizers, devices: Reports) -> Plan:
    """The plan with the estimated peak on each device, and with what makes it fit.

    Raises `Unavailable`, with advice, where nothing does.
    """
    plan = replace(plan, notes=(*plan.notes, *replaced(plan, devices)))
    if plan.request.memory == "auto":
        ladder = savers(plan, optimizers)
        for device in _used(plan):
            plan = _fitted(plan, device, ladder, devices)
    return replace(plan, memory=peaks(plan, footprints(plan, devices)))


def _used(plan: Plan) -> list[str]:
    return sorted({place.device for place in plan.placements.values()})


def _fitted(plan: Plan, device: str, ladder: Sequence[Saver], devices: Reports) -> Plan:
    budget = budget_of(plan, devices[device])
    parts = parts_on(plan, device, ladder, devices, budget)
    if budget.wanted is None or budget.most is None:
        return plan
    found = cheapest(parts, budget.wanted)
    smaller = fewer(plan) if found is None or offloads(found) else None
    if smaller is not None and parts_on(smaller, device, ladder, devices, budget) != parts:
        return _fitted(smaller, device, ladder, devices)
    if found is None and budget.most > budget.wanted:
        found = cheapest(parts, max(budget.wanted, min(smallest(parts), budget.most)))
    if found is not None:
        notes = [f"{each.spec.name} for {part}" for part, chosen in found.items() for each in chosen]
        told = [f"added to fit {device}: {', '.join(notes)}"] if notes else []
        return replace(added_to(plan, found), notes=(*plan.notes, *told))
    if (elsewhere := fallen_back(plan, device, devices)) is not None:
        for each in _used(elsewhere):
            elsewhere = _fitted(elsewhere, each, ladder, devices)
        return elsewhere
    raise _too_large(parts, device, budget)


def parts_on(plan: Plan, device: str, ladder: Sequence[Saver], devices: Reports, budget: Budget) -> Parts:
    """The components of a device, with what the plan has for them already."""
    found = footprints(plan, devices)
    largest = largest_part(plan)
    able = [saver for saver in ladder if not (budget.is_host and saver.offloads)]
    return [
        Part(
            name=part,
            footprint=found[part],
            work=work_of(plan, part, devices),
            savers=free_for(plan, part, able),
            calls=len(plan.sigmas) - 1 if part == largest else 1,
        )
        for part, place in plan.placements.items()
        if place.device == device
    ]


def _too_large(parts: Parts, device: str, budget: Budget) -> Unavailable:
    least, most = smallest(parts) >> 20, (budget.most or 0) >> 20
    said = f"the job takes at least {least} MiB on {device!r}, which has {most} MiB for it"
    fix = "ask for a smaller picture, quantize the model, or allow another device with --fallback"
    return Unavailable(said, fix=fix)
