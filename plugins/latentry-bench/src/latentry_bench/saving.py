"""Put what was fastest into the machine's profile."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from latentry_bench.benching import Found
from latentry_bench.machine import signature
from latentry_bench.profile import Entry, Profile, Rate, key, profile_path, read, write
from latentry_bench.rows import Row
from latentry_sdk import PLACED, Host, Request, UserError


def saved(host: Host, found: Found, won: Row, request: Request) -> Path:
    """Write the row in the place of an older one for such a model and size, and say where.

    What is there and cannot be read, or is of another machine, is replaced.
    """
    path, machine = profile_path(), signature()
    try:
        before = read(path)
    except UserError:
        before = None
    entry, rates = entry_of(host, found, won, request), rates_of(host, found)
    return write(path, (before or Profile(machine=machine)).updated(machine, entry, rates))


def entry_of(host: Host, found: Found, won: Row, request: Request) -> Entry:
    """The row as the profile keeps it: its optimizers for each component alone, as they were applied."""
    assert won.picture
    variant, parameters, side = key(found.plan.detected, found.plan.size)
    named = {text.rpartition("=")[2] for text in won.candidate.optimizers}
    return Entry(
        variant=variant,
        parameters=parameters,
        side=side,
        device=won.candidate.device,
        dtype=won.candidate.dtype,
        optimizers=tuple(text for text in won.optimized if text.rpartition("=")[2] in named),
        approximate=won.candidate.approximate,
        changeable=won.changeable,
        detail=host.devices()[won.candidate.device].detail,
        owners=tuple(sorted({*request.options, *harmless(host)})),
        size=found.plan.size,
        picture=won.picture.median,
        step=won.step.median if won.step else None,
        task=found.plan.task.name,
        steps=request.steps if request.batch == 1 else 0,
        guided=request.guidance > 1,
        measured=date.today().isoformat(),
    )


def rates_of(host: Host, found: Found) -> Sequence[Rate]:
    """How fast each device was in each type, where the work of a step was counted."""
    return [
        Rate(
            device=row.candidate.device,
            dtype=row.candidate.dtype,
            detail=host.devices()[row.candidate.device].detail,
            operations=row.work.flops,
            seconds=row.step.median,
        )
        for row in found.rows
        if row.status == "measured" and row.work and row.work.flops and row.step and not row.optimized
    ]


def harmless(host: Host) -> set[str]:
    """The owners of options that change no component: samplers, schedulers, and stages that touch none."""
    registry = host.registry
    stages = [stage for stage in registry.stages.values() if PLACED not in (*stage.needs, *stage.gives)]
    parts = (*registry.samplers.values(), *registry.schedulers.values(), *stages)
    return {part.name for part in parts if part.options.model_fields}
