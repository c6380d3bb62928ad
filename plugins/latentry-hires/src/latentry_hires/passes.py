"""From the first pass to the second, and back to the job as it was asked for."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from latentry_hires.options import HiresOptions
from latentry_hires.planning import NAME, second_levels, second_plan
from latentry_hires.upscaling import LATENT, larger_latents, larger_picture
from latentry_sdk import (
    IMAGES,
    JOB,
    KNOWN,
    LATENTS,
    SIGMAS,
    SIZE,
    SOURCE,
    Event,
    Job,
    Key,
    Plan,
    StageSpec,
    State,
)
from latentry_sdk.further import counted
from latentry_sdk.guidance import without_guides

if TYPE_CHECKING:
    from torch import Tensor

ASKED = Key[Job]("hires.asked")
"""The job of the first pass."""

AGAIN = Key[Job]("hires.again")
"""The job of the second pass. What is applied and warned of in it is its own."""


def begin(state: State) -> State:
    """Have the steps of the first pass counted as a part of all steps."""
    job = state[JOB]
    return state.put(ASKED, job).put(JOB, replace(job, notify=counting(job, before=0)))


def upscale(state: State) -> State:
    """The larger picture's latents, and a job that has the second pass's plan.

    Guidance stages run again after this one, so what they put for the first pass is taken away.
    """
    job, plan = state[ASKED], second_plan(state[ASKED])
    again = Job(job.id, plan, counting(job, before=len(job.plan.sigmas) - 1), job.undos)
    larger = state.put(JOB, again).put(AGAIN, again).put(SIZE, plan.size).put(SIGMAS, second_levels(job))
    known = enlarged(state, larger, job.options(HiresOptions).upscaler)
    return without_guides(larger.put(KNOWN, known))


def enlarged(first: State, state: State, upscaler: str) -> "Tensor":
    """The latents of `first` at the size of `state`, by way of the pixels where `upscaler` wants them."""
    import torch

    latents, (width, height) = first[LATENTS], state[SIZE]
    if upscaler in LATENT:
        columns = latents.shape[-1] * width // first[SIZE][0]
        rows = latents.shape[-2] * height // first[SIZE][1]
        return larger_latents(latents, (columns, rows), upscaler)
    plan = state[JOB].plan
    pictures = role(plan, "decode").run(first)[IMAGES]
    sources = (larger_picture(picture, (width, height), upscaler) for picture in pictures)
    encode = role(plan, "encode_image")
    return torch.cat([encode.run(state.put(SOURCE, source))[KNOWN] for source in sources])


def end(state: State) -> State:
    """Give the job as it was asked for back, and tell under `hires` what the second pass applied."""
    job, again = state[ASKED], state[AGAIN]
    options, planned = job.options(HiresOptions), again.plan.applied()
    told = {name: planned[name] for name in ("size", "sampler", "scheduler", "guidance")}
    told |= {name: value for name, value in again.applied.items() if name == "steps" or name not in planned}
    job.apply(NAME, {"upscaler": options.upscaler, "strength": options.strength, **told})
    for warning in again.warnings:
        job.warn(warning)
    return state.put(JOB, job)


def counting(job: Job, *, before: int) -> Callable[[Event], None]:
    """Tells of steps as those after the first `before` of both passes."""
    return counted(job, before=before, total=len(job.plan.sigmas) + len(second_levels(job)) - 2)


def role(plan: Plan, name: str) -> StageSpec:
    """The family's stage for a role that is among the plan's."""
    return next(stage for stage in plan.stages if stage.name == plan.family.roles[name])
