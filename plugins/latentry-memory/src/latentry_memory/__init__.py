"""Fit jobs into memory: estimate at planning, add the cheapest optimizers, watch, climb when it ran out."""

from collections.abc import Generator, Mapping

from latentry_memory.fitting import fit
from latentry_memory.retrying import again
from latentry_memory.watching import told, watch_of, watched
from latentry_sdk import JOB, DeviceReport, OptimizerSpec, OutOfMemory, Plan, StageSpec, State, hookimpl


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


@hookimpl(wrapper=True)
def run_stage(stage: StageSpec, state: State) -> Generator[None, State, State]:
    """The job's memory is watched from its first stage to its last."""
    watch = watch_of(state)
    after = yield
    if stage is state[JOB].plan.stages[-1]:
        told(state[JOB], watch)
    return watched(after, watch)
