"""Make a request that runs a recorded picture again, and that picture alone where that can be done."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentry_replay.finding import known_model
from latentry_replay.record import Record
from latentry_sdk import Host, Request, parsed

MODEL_OPTIONS = {"refiner": "refiner"}
"""The options that name a further model, by their owner."""


@dataclass(frozen=True)
class Rerun:
    """A request, which of its pictures is meant, and what of the picture's record it does not honour."""

    request: Request
    position: int = 0
    lost: tuple[str, ...] = ()


def rebuilt(host: Host, record: Record, *, model: str | None, inputs: Mapping[str, Path]) -> Rerun:
    """The recorded request with all that was applied named in it.

    Names in the record are looked up among what the host knows, never followed as paths. Options whose
    owner is not here, and devices that are not available, are left out: the comparison tells of them.
    """
    applied, recorded = record.applied, record.request
    own, position = _place_in_batch(record)
    ref = recorded.get("model")
    places, options = _places(host, applied.placements), {**record.options, **own["options"]}
    fields = {
        **recorded,
        **own,
        "model": model or known_model(host, ref if isinstance(ref, str) else None, applied.model.name),
        "sampler": applied.sampler,
        "scheduler": applied.scheduler,
        "format": applied.format,
        "quantize": applied.quantizers,
        "optimizers": applied.optimizers,
        "place": places,
        "dtype": recorded.get("dtype") if places else None,
        "options": _with_known_models(host, record, _known_options(host, options, places)),
        "inputs": dict(inputs),
    }
    return Rerun(parsed(Request, fields, where="its record's request: "), position)


def _place_in_batch(record: Record) -> tuple[dict[str, Any], int]:
    """Seed, batch and variation of the run, and which of its pictures is meant.

    An image is its own seed's. But variations share a seed, and its choices fell by another: those are
    run with all images before them.
    """
    variation, index = record.applied.variation, record.index
    if variation is None or not record.applied.prompts:
        return {"seed": record.seed, "batch": 1, "options": {}}, 0
    first = {**record.options["variation"], "variation_seed": variation.seeds[0]}
    return {"seed": record.seed, "batch": index + 1, "options": {"variation": first}}, index


def _places(host: Host, placements: Mapping[str, str]) -> Mapping[str, str]:
    """The devices as recorded; none where one of them is not available here."""
    reports, wanted = host.devices(), set(placements.values())
    if any(device not in reports or not reports[device].available for device in wanted):
        return {}
    return {"*": wanted.pop()} if len(wanted) == 1 else placements


def _known_options(
    host: Host, options: Mapping[str, Mapping[str, Any]], places: Mapping[str, str]
) -> Mapping[str, Mapping[str, Any]]:
    registry = host.registry
    tables = (registry.tasks, registry.stages, registry.samplers, registry.schedulers, registry.optimizers)
    owners = {name for table in tables for name in table} | set(places.values())
    return {owner: given for owner, given in options.items() if owner in owners}


def _with_known_models(
    host: Host, record: Record, options: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Mapping[str, Any]]:
    """The options with each further model by the name of one that the host lists."""
    changed = dict(options)
    for owner, name in MODEL_OPTIONS.items():
        if ref := options.get(owner, {}).get(name):
            further = record.applied.further_models.get(owner)
            changed[owner] = {
                **options[owner],
                name: known_model(host, str(ref), further.name if further else None),
            }
    return changed
