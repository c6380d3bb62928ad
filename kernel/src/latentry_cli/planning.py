"""`latentry plan TASK …`: say what a job would do, where, in what memory and time, and do nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from latentry.host import Host
from latentry.placement import Placer
from latentry.plan import Plan
from latentry.planner import Planner
from latentry.request import Request
from latentry.types import DeviceReport
from latentry_cli.console import quiet_stdout
from latentry_cli.hardware import described
from latentry_cli.tasks import request_maker, task_command
from latentry_sdk.command_lines import show_json, show_table
from latentry_sdk.footprints import footprints
from latentry_sdk.words import time

HARDWARE = click.Option(
    ["--hardware"], metavar="FILE", help="Plan for the devices that a TOML or JSON file describes"
)
COMPONENTS = ("component", "device", "dtype", "weights", "peak", "quantizer", "optimizers")
DEVICES = ("device", "peak", "free", "total")


class PlanGroup(click.Group):
    """The command `plan`, with a command for each task that takes the task's own flags."""

    def __init__(self, host: Host) -> None:
        super().__init__("plan", help="Show what a task would do with these flags, and do nothing")
        self._host = host

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The tasks."""
        return [*self._host.registry.tasks]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command:
        """The command of a task; `UnknownName` lists them."""
        host, task = self._host, self._host.registry.tasks.find(name)
        request = request_maker(host, task)

        def callback(hardware: str | None, **values: Any) -> None:
            with quiet_stdout():
                plan, reports = planned(host, request(values), Path(hardware) if hardware else None)
                told = account(plan, reports)
            show_json(told) if values["as_json"] else _show(told)

        parameters = [*task_command(host, task).params, HARDWARE]
        return click.Command(name, params=parameters, callback=callback, help=task.description)


def planned(host: Host, request: Request, hardware: Path | None) -> tuple[Plan, Mapping[str, DeviceReport]]:
    """The plan, on this machine or on one that a file describes, and the reports of its devices."""
    if hardware is None:
        return host.plan(request), host.devices()
    registry = described(host.registry, hardware)
    placer = Placer(registry, host.hook)
    plan = Planner(registry, host.hook, host.config, placer).plan(request)
    return plan, {name: placer.report(spec) for name, spec in registry.devices.items()}


def account(plan: Plan, reports: Mapping[str, DeviceReport]) -> dict[str, Any]:
    """The plan in words and numbers, JSON-able; sizes are in bytes."""
    found = footprints(plan, reports)
    components = [
        {
            "component": part,
            "device": place.device,
            "dtype": place.dtype or reports[place.device].dtypes[0],
            "parameters": plan.detected.components[part],
            "kept": found[part].kept,
            "passing": found[part].passing,
            "quantizer": plan.applied()["quantizers"].get(part),
            "optimizers": [spec.name for spec in plan.optimizers if spec.parts & {part, "*"}],
        }
        for part, place in plan.placements.items()
    ]
    devices = [
        {"device": name, "peak": plan.memory.get(name), **vars(reports[name].memory)}
        for name in sorted({place.device for place in plan.placements.values()})
    ]
    stages = [stage.name for stage in plan.stages]
    return {"components": components, "devices": devices, "stages": stages, "applied": plan.applied()}


def _show(told: Mapping[str, Any]) -> None:
    rows = [
        {
            **row,
            "weights": _size(row["kept"]),
            "peak": _size(row["kept"] + row["passing"]),
            "optimizers": ", ".join(row["optimizers"]),
        }
        for row in told["components"]
    ]
    show_table(rows, COMPONENTS)
    click.echo()
    sizes = ("peak", "free", "total")
    show_table([{**row, **{name: _size(row[name]) for name in sizes}} for row in told["devices"]], DEVICES)
    click.echo()
    click.echo(f"stages: {', '.join(told['stages'])}")
    seconds = told["applied"]["seconds"]
    click.echo(f"time: about {time(seconds)}" if seconds else "time: ?")
    for note in told["applied"]["notes"]:
        click.echo(note)


def _size(count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count / 1e9:.2f} GB" if count >= 10**8 else f"{count / 1e6:.1f} MB"
