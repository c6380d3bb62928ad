"""What is installed and what is there: tasks, samplers, schedulers, models, devices, plugins."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from latentry_api.routes.context import CallerHere, ServiceHere, problems

router = APIRouter(tags=["listings"], responses=problems(403))
Rows = list[dict[str, Any]]


@router.get("/tasks")
def tasks(service: ServiceHere, caller: CallerHere) -> Rows:
    """What can be asked for."""
    caller.require("read")
    table = service.host.registry.tasks
    return [
        {
            **_described(spec, table.owners[name]),
            "stages": list(spec.stages),
            "formats": list(spec.formats),
            "inputs": [asdict(one) for one in spec.inputs],
        }
        for name, spec in table.items()
    ]


@router.get("/samplers")
def samplers(service: ServiceHere, caller: CallerHere) -> Rows:
    """The solvers."""
    caller.require("read")
    table = service.host.registry.samplers
    return [
        {
            **_described(spec, table.owners[name]),
            "label": spec.label,
            "order": spec.order,
            "stochastic": bool(spec.stochastic),
        }
        for name, spec in table.items()
    ]


@router.get("/schedulers")
def schedulers(service: ServiceHere, caller: CallerHere) -> Rows:
    """The noise schedules."""
    caller.require("read")
    table = service.host.registry.schedulers
    return [{**_described(spec, table.owners[name]), "label": spec.label} for name, spec in table.items()]


@router.get("/models")
def models(service: ServiceHere, caller: CallerHere) -> Rows:
    """Models that can be asked for by name."""
    caller.require("read")
    return [{"name": entry.name, "description": entry.description} for entry in service.host.models()]


@router.get("/devices")
def devices(service: ServiceHere, caller: CallerHere) -> Rows:
    """Where models can run on this machine, or what to install."""
    caller.require("read")
    reports, table = service.host.devices(), service.host.registry.devices
    return [{**_described(spec, table.owners[name]), **asdict(reports[name])} for name, spec in table.items()]


@router.get("/plugins")
def plugins(service: ServiceHere, caller: CallerHere) -> Rows:
    """Every plugin that was found, whether it is active, and why not."""
    caller.require("read")
    return [asdict(record) for record in service.host.records]


def _described(spec: Any, owner: str) -> dict[str, Any]:
    return {
        "name": spec.name,
        "aliases": list(spec.aliases),
        "description": spec.description,
        "plugin": owner,
        "options": list(spec.options.model_fields),
    }
