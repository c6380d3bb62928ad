"""After memory ran out: the same with nothing cached, then fewer images at once, then rung by rung."""

from collections.abc import Mapping
from dataclasses import replace

from latentry_memory.adding import KEEP, OFFLOAD, Saver, added_to, free_for, named, savers
from latentry_memory.batching import fewer
from latentry_sdk import OptimizerSpec, Options, OutOfMemory, Plan

AGAIN = "tried again with nothing cached"


def again(plan: Plan, optimizers: Mapping[str, OptimizerSpec], error: Exception) -> Plan | None:
    """The next plan to try; raises `OutOfMemory` with advice at the end of the ladder.

    Its `memory` is empty: what was estimated has proved wrong.
    """
    if plan.request.memory != "auto":
        return None
    plan = replace(plan, memory={})
    if AGAIN not in plan.notes:
        return replace(plan, notes=(*plan.notes, AGAIN))
    higher = fewer(plan) or _keeping_nothing(plan) or _climbed(plan, savers(plan, optimizers))
    if higher is None:
        fix = "ask for a smaller picture or batch, quantize the model, or place it elsewhere"
        raise OutOfMemory(f"memory ran out, with all that could spare it: {error}", fix=fix) from error
    return higher


def _keeping_nothing(plan: Plan) -> Plan | None:
    """The plan with all weights off the device where a part of them stayed; None where none did."""
    options = dict(plan.options)
    for spec in plan.optimizers:
        key = (type(spec).__name__, spec.name)
        if getattr(options[key], KEEP, 0):
            options[key] = _without(options[key])
    if options == plan.options:
        return None
    return replace(plan, options=options, notes=(*plan.notes, "ran out: nothing stays on the device"))


def _without(options: Options) -> Options:
    return options.model_copy(update={KEEP: 0})


def _climbed(plan: Plan, ladder: list[Saver]) -> Plan | None:
    """The plan with the lowest rung that it lacks; an offload takes the place of the one before."""
    for saver in ladder:
        parts = [part for part in plan.placements if _lacks(plan, part, saver)]
        if parts:
            plan = _instead(plan, parts) if saver.offloads else plan
            told = f"ran out: added {saver.spec.name} for {', '.join(parts)}"
            return replace(added_to(plan, dict.fromkeys(parts, (saver,))), notes=(*plan.notes, told))
    return None


def _lacks(plan: Plan, part: str, saver: Saver) -> bool:
    """Whether a component can have this one; what its user chose to offload it with is left alone."""
    if not saver.offloads:
        return bool(free_for(plan, part, [saver]))
    asked = [text.rpartition("=") for text in plan.request.optimizers]
    chosen = {name for component, _, name in asked if component in ("", part)}
    there = [spec for spec in named(plan, part) if (spec.rung or 0) >= OFFLOAD]
    above = all((spec.rung or 0) < saver.rung and spec.name not in chosen for spec in there)
    return saver.suits(part) and above


def _instead(plan: Plan, parts: list[str]) -> Plan:
    """The plan without what offloads these components now."""
    kept = []
    for spec in plan.optimizers:
        if (spec.rung or 0) < OFFLOAD:
            kept.append(spec)
            continue
        rest = (frozenset(plan.placements) if "*" in spec.parts else spec.parts) - frozenset(parts)
        kept += [replace(spec, parts=rest)] if rest else []
    return replace(plan, optimizers=tuple(kept))
