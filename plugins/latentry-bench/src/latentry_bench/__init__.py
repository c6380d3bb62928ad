"""Measure this machine, and let plans prefer what was fastest."""

from collections.abc import Generator, Mapping
from typing import Any

import click

from latentry_bench.commands import bench
from latentry_bench.counting import LOAD, counted, is_counted
from latentry_bench.estimating import timed
from latentry_bench.preferring import preferred, preferring
from latentry_sdk import (
    DeviceReport,
    OptimizerSpec,
    Placement,
    PlacementRequest,
    Plan,
    StageSpec,
    State,
    hookimpl,
)


@hookimpl
def register_commands(cli: Any) -> None:
    """`latentry bench`."""
    group: click.Group = cli
    group.add_command(bench)


@hookimpl
def choose_device(request: PlacementRequest, devices: Mapping[str, DeviceReport]) -> Placement | None:
    """What the machine's profile says, where the user named nothing."""
    return preferred(request, devices)


@hookimpl(wrapper=True)
def fit_memory(
    plan: Plan, optimizers: Mapping[str, OptimizerSpec], devices: Mapping[str, DeviceReport]
) -> Generator[None, Any, Any]:
    """The fitted plan with the profile's optimizers, with a note that says so, and with the job's time."""
    return timed(preferring(plan, (yield), optimizers) or plan, devices)


@hookimpl(wrapper=True)
def run_stage(stage: StageSpec, state: State) -> Generator[None, Any, Any]:
    """In a trial, what is placed counts its calls."""
    after = yield
    return counted(after) if stage.name == LOAD and is_counted(state) else after
