"""Run a plan: its stages in order, inside its devices' contexts, with every undo kept."""

import gc
from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter
from typing import Any

from latentry import specs
from latentry.errors import OutOfMemory, PluginError, blamed
from latentry.events import ModelLoaded, StageStarted, Started, Stepped
from latentry.job import Job
from latentry.keys import ARTIFACTS, DENOISE, JOB, LATENTS, NOISE, PLACED, SIGMAS, UNGUIDED, first
from latentry.request import Result
from latentry.residents import Residents
from latentry.state import Key, State
from latentry.types import Array, Device

RESIDENTS = Key[Residents]("residents")
"""The executor's open devices and models: the host's own matter."""


def run(job: Job, hook: Any, residents: Residents) -> Result:
    """Run the job to its result; raises `LatentryError`, with the cause where a plugin raised.

    When memory runs out, all is taken from the devices, and `retry_job` may give another plan to try.
    """
    job.notify(Started(job.id))
    while True:
        try:
            return _attempt(job, hook, residents)
        except (OutOfMemory, MemoryError) as exc:
            residents.unplace()
            with blamed("the hook retry_job"):
                plan = hook.retry_job(plan=job.plan, optimizers=residents.registry.optimizers, error=exc)
            if plan is None:
                raise
            job = replace(job, plan=plan, undos=ExitStack(), _applied={})
        gc.collect()  # the error's frames held arrays


def _attempt(job: Job, hook: Any, residents: Residents) -> Result:
    plan, timings = job.plan, dict[str, float]()
    with blamed("cleaning up after a job"), job.undos, ExitStack() as contexts:
        devices = dict[str, Device]()
        for name in sorted({place.device for place in plan.placements.values()}):
            with blamed(f"device {name!r}"):
                devices[name] = residents.device(name, plan)
                contexts.enter_context(devices[name].activate())
        state = first(job, devices).put(RESIDENTS, residents)
        for stage in plan.stages:
            job.check_cancelled()
            job.notify(StageStarted(job.id, stage.name))
            began = perf_counter()
            state = _run_stage(stage, state, hook)
            timings[stage.name] = timings.get(stage.name, 0.0) + perf_counter() - began
    return Result((*state[ARTIFACTS],), job.applied, timings, job.warnings)


def _run_stage(stage: specs.StageSpec, state: State, hook: Any) -> State:
    with blamed(f"stage {stage.name!r}"):
        after = hook.run_stage(stage=stage, state=state)
    if not isinstance(after, State) or any(key not in after for key in stage.gives):
        raise PluginError(f"stage {stage.name!r} did not give all that it declares")
    return after


def load(state: State) -> State:
    """Put the model's components on their devices."""
    job, began = state[JOB], perf_counter()

    def loaded() -> None:
        job.notify(ModelLoaded(job.id, job.plan.header.path.name, perf_counter() - began))

    placed = state[RESIDENTS].placed(job.plan, loaded)
    job.apply("dtypes", {name: part.dtype for name, part in placed.items()})
    return state.put(PLACED, placed)


def sample(state: State) -> State:
    """Solve from noise to picture with the plan's sampler over the state's noise levels."""
    job, sigmas, sampler = state[JOB], state[SIGMAS], state[JOB].plan.sampler

    def on_step(index: int, _x: Array, _clean: Array) -> None:
        job.check_cancelled()
        job.notify(Stepped(job.id, index + 1, len(sigmas) - 1))

    given = dict(job.plan.options_for(sampler))
    given |= {"noise": state[NOISE].between} if sampler.stochastic else {}
    given |= {"unguided": state[UNGUIDED]} if sampler.unguided else {}
    x = sampler.sample(state[DENOISE], state[LATENTS], sigmas, on_step=on_step, **given)
    job.apply("steps", len(sigmas) - 1)
    return state.put(LATENTS, x)


STAGES = (
    specs.StageSpec("load", load, gives=(PLACED,), description="Load the model and place its components"),
    specs.StageSpec("sample", sample, (DENOISE, LATENTS, SIGMAS, NOISE), (LATENTS,), description="Solve"),
)
