"""Give a plan what the machine's profile says, where its user named nothing; imports nothing heavy."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from latentry_bench.estimating import measured
from latentry_bench.profile import Entry, Profile, of_this_machine
from latentry_sdk import (
    Detected,
    DeviceReport,
    OptimizerSpec,
    Options,
    Placement,
    PlacementRequest,
    Plan,
    Request,
    parsed,
)
from latentry_sdk.words import time

log = logging.getLogger("latentry.bench")

Optimizers = Mapping[str, OptimizerSpec]


def preferred(request: PlacementRequest, devices: Mapping[str, DeviceReport]) -> Placement | None:
    """The device and type of the profile; None where it says nothing of this, or the user did."""
    entry = None if request.wanted else _entry(of_this_machine()[0], request.model, request.job)
    if entry is None or not _is_open(entry, request.job):
        return None
    report = devices.get(entry.device)
    is_as_measured = report and report.detail == entry.detail and entry.dtype in report.dtypes
    others = devices.keys() - {entry.device}
    if not is_as_measured or others & request.job.options.keys():  # options of a device ask for that device
        return None
    return Placement(entry.device, entry.dtype)


def preferring(plan: Plan, fitted: Plan | None, optimizers: Optimizers) -> Plan | None:
    """The fitted plan with a note of what comes from the profile, and with its optimizers."""
    profile, problem = of_this_machine()
    if problem:
        log.warning("%s", problem)
        return _noted(fitted or plan, problem)
    entry, request = _entry(profile, plan.detected, plan.request), plan.request
    if entry is None or _names(request):
        return fitted
    result = fitted or plan
    if not _is_open(entry, request):
        owners = ", ".join(sorted(_unmeasured(entry, request)))
        return _noted(
            result, f"the machine's profile is not used: it was not measured with options of {owners}"
        )
    here = [
        part for part, place in result.placements.items() if part not in request.place and _is(place, entry)
    ]
    if not here:
        return fitted
    if len(here) < len(result.placements):
        return _noted(result, f"by the machine's profile: {', '.join(here)} on {_words(entry)}")
    if not entry.optimizers:
        return _going_by(entry, result, _words(entry))
    if why := _unfit(entry, result, optimizers):
        return _noted(result, f"by the machine's profile: {_words(entry)}; without its optimizers, as {why}")
    another = " (another picture)" if entry.approximate else ""
    changed = _optimized(result, entry.optimizers, optimizers)
    return _going_by(entry, changed, f"{_words(entry)}, {', '.join(entry.optimizers)}{another}")


def _going_by(entry: Entry, plan: Plan, words: str) -> Plan:
    """The plan with a note of the entry, and with its time where the entry has measured such a job."""
    seconds, told = measured(entry, plan), f"by the machine's profile: {words}"
    if seconds is None:
        return _noted(plan, told)
    noted = _noted(plan, f"{told}; about {time(seconds)} a picture")
    return replace(noted, seconds=seconds * plan.request.batch)


def _entry(profile: Profile | None, model: Detected, job: Request) -> Entry | None:
    size = job.width or model.size[0], job.height or model.size[1]
    return profile.find(model, size) if profile else None


def _is_open(entry: Entry, job: Request) -> bool:
    """Whether the user left the choice open, and asks for nothing that the measured device may not do."""
    return not _names(job) and (entry.changeable or not _unmeasured(entry, job))


def _names(job: Request) -> bool:
    """Whether the user chose for all components together."""
    return bool(job.dtype or job.optimizers or job.quantize or "*" in job.place)


def _unmeasured(entry: Entry, job: Request) -> set[str]:
    """The owners of options that the measured job had not: stages may change the model for them."""
    return {*job.options} - {job.task, entry.device, *entry.owners}


def _is(place: Placement, entry: Entry) -> bool:
    return (place.device, place.dtype) == (entry.device, entry.dtype)


def _unfit(entry: Entry, plan: Plan, optimizers: Optimizers) -> str | None:
    """Why the measured optimizers are not for this plan."""
    if plan.request.memory == "off":
        return "memory is off"
    if plan.optimizers:
        return f"{plan.optimizers[0].name} is needed"
    if unmeasured := _unmeasured(entry, plan.request):
        return f"they were not measured with options of {min(unmeasured)}"
    absent = [name for name in map(_name, entry.optimizers) if name not in optimizers]
    return f"{absent[0]} is not installed" if absent else None


def _optimized(plan: Plan, texts: Sequence[str], optimizers: Optimizers) -> Plan:
    specs, options = [], dict(plan.options)
    for text in texts:
        spec, part = optimizers[_name(text)], text.rpartition("=")[0]
        specs.append(replace(spec, parts=frozenset({part})) if part else spec)
        given = {**plan.config.options.get(spec.name, {}), **plan.request.options.get(spec.name, {})}
        taken = parsed(spec.options, given, where=f"{spec.name}: ") if given else spec.options()
        options["OptimizerSpec", spec.name] = taken if spec.options.model_fields else Options()
    return replace(plan, optimizers=tuple(specs), options=options)


def _noted(plan: Plan, note: str) -> Plan:
    return replace(plan, notes=(*plan.notes, note))


def _name(text: str) -> str:
    return text.rpartition("=")[2]


def _words(entry: Entry) -> str:
    return f"{entry.device} in {entry.dtype}"
