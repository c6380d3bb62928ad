"""Estimate what memory a plan takes on each device, from headers and shapes: no weight is read."""

from collections.abc import Mapping
from dataclasses import replace

from latentry.errors import blamed
from latentry.plan import Plan
from latentry.specs import OptimizerSpec
from latentry.types import Footprint, Placement, Reports, Work

BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1}
"""Of one value, by its type; a type that is not named here counts as float32."""

Footprints = Mapping[str, Footprint]
"""By component."""


def largest_part(plan: Plan) -> str:
    """The component with the most values, which is the one that each step calls."""
    return max(plan.detected.components, key=lambda part: plan.detected.components[part])


def value_bytes(place: Placement, reports: Reports) -> int:
    """Bytes of one value in the type that a component so placed computes in."""
    return BYTES.get(place.dtype or reports[place.device].dtypes[0], 4)


def work_of(plan: Plan, part: str, reports: Reports) -> Work:
    """The largest call of a component, in the job or in a further plan that works by the same model."""
    alike = [other for other in plan.further.values() if other and other.model_key() == plan.model_key()]
    with blamed(f"model family {plan.family.name!r}"):
        asked = [each.family.work(each, part) for each in (plan, *alike)]
    largest = max(asked, key=lambda work: work.size[0] * work.size[1] * work.count)
    return replace(largest, bytes=value_bytes(plan.placements[part], reports))


def plain(plan: Plan, part: str, reports: Reports) -> Footprint:
    """What a component takes without any optimizer: its weights, by its quantizer, and its activations."""
    work, detected = work_of(plan, part, reports), plan.detected
    with blamed(f"model family {plan.family.name!r}"):
        values = plan.family.activations(detected, work)
    spec, scheme = plan.quantizers.get(part, (None, ""))
    bits = spec.bits.get(scheme, 8 * work.bytes) if spec else 8 * work.bytes
    kept = round(detected.components[part] * bits / 8)
    largest = round(detected.largest.get(part, detected.components[part]) * bits / 8)
    return Footprint(kept, values * work.bytes, largest)


def optimized(plan: Plan, spec: OptimizerSpec, before: Footprint, work: Work) -> Footprint:
    """The footprint `before` with one more optimizer, by its options in the plan."""
    with blamed(f"optimizer {spec.name!r}"):
        after: Footprint = spec.estimate(before, work, **dict(plan.options_for(spec)))
    return after


def footprints(plan: Plan, reports: Reports) -> Footprints:
    """What each component takes with the plan's optimizers, in their order."""
    return {part: _footprint(plan, part, reports) for part in plan.placements}


def _footprint(plan: Plan, part: str, reports: Reports) -> Footprint:
    found, work = plain(plan, part, reports), work_of(plan, part, reports)
    for spec in plan.optimizers:
        if spec.parts & {part, "*"}:
            found = optimized(plan, spec, found, work)
    return found


def kept(plan: Plan, found: Footprints) -> Mapping[str, int]:
    """Bytes that stay on each device between calls."""
    return {
        device: sum(found[part].kept for part, place in plan.placements.items() if place.device == device)
        for device in sorted({place.device for place in plan.placements.values()})
    }


def peaks(plan: Plan, found: Footprints) -> Mapping[str, int]:
    """The most that each device holds: what all components keep, and what one takes in passing.

    Components run one at a time.
    """
    return {
        device: size
        + max(found[part].passing for part, place in plan.placements.items() if place.device == device)
        for device, size in kept(plan, found).items()
    }
