"""Fit jobs into memory: estimate at planning, add the cheapest optimizers, climb when it ran out."""

from collections.abc import Mapping

from latentry_memory.fitting import fit
from latentry_memory.retrying import again
from latentry_sdk import DeviceReport, OptimizerSpec, OutOfMemory, Plan, hookimpl


@hookimpl
def fit_memory(
    plan: Plan, optimizers: Mapping[str, OptimizerSpec], devices: Mapping[str, DeviceReport]
) -> Plan:
    """The plan with its estimated peaks, and with optimizers where it would not fit."""
    return fit(plan, optimizers, devices)


@hookimpl
def retry_job(
    plan: Plan, optimizers: Mapping[str, OptimizerSpec], error: OutOfMemory | MemoryError
) -> Plan | None:
    """The plan one rung higher."""
    return again(plan, optimizers, error)
