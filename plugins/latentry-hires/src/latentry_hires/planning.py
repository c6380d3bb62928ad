"""Plan the second pass together with the first, so that all that is wrong with it is refused then."""

from collections.abc import Mapping
from typing import Any

from latentry_hires.options import HiresOptions
from latentry_sdk import InvalidRequest, Job, Plan
from latentry_sdk.further import Planned, like
from latentry_sdk.noising import levels_left
from latentry_sdk.pictures import Size

NAME = "hires"


def second(plan: Plan, planned: Planned) -> Plan:
    """The plan of the second pass: image to image from the first one's picture, at its own size.

    It is made twice where it has options for its sampler or scheduler: first to learn which these are.
    """
    options = plan.options_of(HiresOptions)
    if plan.family.kind != "torch":
        raise InvalidRequest(f"{NAME} cannot enlarge the latents of {plan.family.name!r} models")
    width, height = second_size(plan.size, plan.detected.multiple, options)
    asked, own = plan.request, (plan.sampler.name, plan.scheduler.name)
    shared = {name: given for name, given in asked.options.items() if name not in (NAME, *own)}
    shared["img2img"] = {"strength": 1.0 if options.exact_steps else options.strength}
    changes = {
        "task": "img2img",
        "inputs": {"image": "the first pass's picture"},
        "width": width,
        "height": height,
        "steps": schedule_steps(asked.steps, options),
        **_given(options, "sampler", "scheduler", "prompt", "negative", "guidance"),
    }
    bare = planned(like(plan, NAME, **changes, options=shared))
    solving = {**_solving(plan, bare, "sampler", options), **_solving(plan, bare, "scheduler", options)}
    return planned(like(plan, NAME, **changes, options={**shared, **solving})) if solving else bare


def second_size(size: Size, multiple: int, options: HiresOptions) -> Size:
    """(width, height) of the second pass: as asked; what is reckoned is rounded to what the model takes."""
    width, height = options.width, options.height
    scale = width / size[0] if width else height / size[1] if height else options.scale
    reckoned = [max(round(side * scale / multiple), 1) * multiple for side in size]
    return width or reckoned[0], height or reckoned[1]


def schedule_steps(first: int, options: HiresOptions) -> int:
    """How many steps the schedule has of which the last are run."""
    steps = options.steps or first
    return int(steps / min(options.strength, 0.999)) if options.exact_steps else steps


def second_levels(job: Job) -> tuple[float, ...]:
    """The noise levels that the second pass of a job runs through."""
    plan, options = second_plan(job), job.options(HiresOptions)
    if options.exact_steps:
        return plan.sigmas[-1 - (options.steps or job.plan.request.steps) :]
    return levels_left(plan.sigmas, options.strength)


def second_plan(job: Job) -> Plan:
    """What `second` gave at planning."""
    plan = job.plan.further[NAME]
    assert plan is not None, "the task always gives one"
    return plan


def _given(options: HiresOptions, *names: str) -> Mapping[str, Any]:
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _solving(first: Plan, then: Plan, kind: str, options: HiresOptions) -> Mapping[str, Mapping[str, Any]]:
    """The options of the second pass's sampler or scheduler; the first one's hold if it is the same."""
    before, after = getattr(first, kind).name, getattr(then, kind).name
    kept = first.request.options.get(before, {}) if after == before else {}
    settings = {**kept, **getattr(options, f"{kind}_options")}
    return {after: settings} if settings else {}
