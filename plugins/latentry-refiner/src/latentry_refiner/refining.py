"""Split the noise levels between two models, and go on with the second."""

from collections.abc import Iterator
from dataclasses import replace

from latentry_refiner.options import RefinerOptions
from latentry_refiner.planning import NAME, steps_before
from latentry_sdk import (
    INPUTS,
    JOB,
    KNOWN,
    LATENTS,
    NOISE,
    PROMPTS,
    SEEDS,
    SIGMAS,
    SIZE,
    SOURCE,
    InvalidRequest,
    Job,
    Key,
    Plan,
    StageSpec,
    State,
)
from latentry_sdk.further import counted
from latentry_sdk.guidance import without_guides
from latentry_sdk.levels import levels_of

ASKED = Key[Job]("refiner.asked")
"""The job as it was asked for."""

LEVELS = Key[tuple[float, ...]]("refiner.levels")
"""The noise levels of both models."""

SHARED = frozenset({INPUTS, SOURCE, SIZE, SEEDS, PROMPTS, KNOWN, NOISE, LATENTS, SIGMAS})
"""What both models work on: the stages that give it run for the first alone."""

SAMPLE = "sample"


def split(state: State) -> State:
    """Cut the noise levels where the models change; the steps are counted through both."""
    job, levels = state[JOB], state[SIGMAS]
    if job.plan.further[NAME] is None:
        return state
    switch_at = job.options(RefinerOptions).switch_at
    own = steps_before(levels, levels_of(job.plan), switch_at)
    if not own:
        fix = "raise switch_at or the strength"
        raise InvalidRequest(f"{NAME}: switch_at {switch_at:g} leaves no step to the first model", fix=fix)
    state = state.put(ASKED, job).put(LEVELS, levels).put(SIGMAS, levels[: own + 1])
    return state.put(JOB, replace(job, notify=counted(job, before=0, total=len(levels) - 1)))


def refine(state: State) -> State:
    """Load the second model in the first one's place and take the rest of the steps with it.

    The components are then the second model's; the picture is decoded by its VAE.
    """
    if (plan := state[JOB].plan.further.get(NAME)) is None:
        return state
    job, levels = state[ASKED], state[LEVELS]
    before, total = len(state[SIGMAS]) - 1, len(levels) - 1
    again = Job(job.id, plan, counted(job, before=before, total=total), job.undos)
    second = without_guides(state.put(JOB, again).put(SIGMAS, levels))
    for stage in preparing(plan):
        again.check_cancelled()
        second = stage.run(second)
    (sample,) = {stage for stage in plan.stages if stage.name == SAMPLE}
    second = sample.run(second.put(SIGMAS, levels[before:]))
    job.apply("steps", total)
    job.apply(
        NAME, {"model": plan.header.path.name, "variant": plan.detected.variant, "steps": total - before}
    )
    for warning in again.warnings:
        job.warn(warning)
    return second.put(JOB, job)


def preparing(plan: Plan) -> Iterator[StageSpec]:
    """The stages before the sampling that are about the model."""
    for stage in plan.stages:
        if stage.name == SAMPLE:
            return
        if not SHARED & {*stage.gives}:
            yield stage
