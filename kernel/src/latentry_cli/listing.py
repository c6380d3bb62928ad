"""`latentry plugins`, `devices`, `models`, `samplers`, `schedulers`, `tasks`: what is there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from latentry.host import Host
from latentry_cli.console import quiet_stdout
from latentry_sdk.command_lines import show_json, show_table

Row = Mapping[str, Any]


def plugins(host: Host) -> Sequence[Row]:
    """Every plugin that was found, whether it is active, and why not."""
    return [asdict(record) for record in host.records if record.distribution != "latentry"]


def devices(host: Host) -> Sequence[Row]:
    """Where models can run on this machine, or what to install."""
    reports = host.devices()
    return [
        {"name": name, "description": spec.description, **asdict(reports[name])}
        for name, spec in host.registry.devices.items()
    ]


def models(host: Host) -> Sequence[Row]:
    """Models that can be asked for by name."""
    return [
        {"name": entry.name, "description": entry.description, "path": str(entry.path)}
        for entry in host.models()
    ]


def samplers(host: Host) -> Sequence[Row]:
    """The solvers."""
    return [
        {
            "name": name,
            "aliases": list(spec.aliases),
            "order": spec.order,
            "stochastic": spec.stochastic,
            "options": list(spec.options.model_fields),
            "description": spec.description,
        }
        for name, spec in host.registry.samplers.items()
    ]


def schedulers(host: Host) -> Sequence[Row]:
    """The noise schedules."""
    return [
        {
            "name": name,
            "aliases": list(spec.aliases),
            "options": list(spec.options.model_fields),
            "description": spec.description,
        }
        for name, spec in host.registry.schedulers.items()
    ]


def tasks(host: Host) -> Sequence[Row]:
    """What can be asked for."""
    return [
        {
            "name": name,
            "stages": list(spec.stages),
            "inputs": [given.name for given in spec.inputs],
            "description": spec.description,
        }
        for name, spec in host.registry.tasks.items()
    ]


def _command(rows: Callable[[Host], Sequence[Row]], columns: Sequence[str]) -> click.Command:
    @click.pass_obj
    def callback(host: Host, as_json: bool) -> None:
        with quiet_stdout():
            found = rows(host)
        show_json(found) if as_json else show_table(found, columns)

    option = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON")
    return click.Command(rows.__name__, params=[option], callback=callback, help=rows.__doc__)


LISTINGS = (
    _command(plugins, ("name", "status", "version", "reason", "fix")),
    _command(devices, ("name", "available", "detail", "fix")),
    _command(models, ("name", "description")),
    _command(samplers, ("name", "order", "description")),
    _command(schedulers, ("name", "description")),
    _command(tasks, ("name", "description")),
)
