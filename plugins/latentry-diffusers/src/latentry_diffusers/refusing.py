"""Refuse, while planning, what a pipeline cannot do as asked, and tell of what it does otherwise."""

from collections.abc import Iterator, Sequence
from typing import Any

from latentry_diffusers.abilities import ability
from latentry_diffusers.arguments import CLASSIFIER_FREE, DecodeOptions, guidance_name, task_options
from latentry_diffusers.sources import Pipeline
from latentry_diffusers.texts import Texts, texts
from latentry_sdk import JOB, MASK, SOURCE, InvalidRequest, Plan, Request, State
from latentry_sdk.prompts import planned_prompts

FIX = "leave it out or name another model"
LATENT = ("latent_noise", "latent_nothing")
LACKS = {"txt2img": "needs a picture", "img2img": "takes no picture", "inpaint": "takes no mask"}


def kind_of(plan: Plan) -> Pipeline:
    """The class that takes what the plan's stages make; `InvalidRequest` where there is none."""
    named, given = plan.detected.variant, {key for stage in plan.stages for key in stage.gives}
    task = "inpaint" if MASK in given else "img2img" if SOURCE in given else "txt2img"
    if found := ability(named, task):
        return found
    raise InvalidRequest(f"{named} {LACKS[task]}", fix="name another task or model")


def check(plan: Plan, _planned: Any) -> None:
    """Raise `InvalidRequest` for the first thing asked for that the pipeline would leave out."""
    kind = kind_of(plan)
    written = _texts(plan, kind, texts(plan, planned_prompts(plan)))
    for problem in (*written, *_guidance(plan, kind), *_task(plan, kind), *_stages(plan)):
        raise InvalidRequest(f"{kind.name} {problem}", fix=FIX)


def warn(state: State) -> None:
    """Tell what the pipeline does otherwise than other families do."""
    job, kind = state[JOB], kind_of(state[JOB].plan)
    if kind.takes("image") and not kind.takes("strength"):
        job.warn(f"{kind.name} has no strength: the picture is taken whole")
    if MASK in state and any(state[MASK].histogram()[1:255]):
        job.warn(f"{kind.name} makes the mask's greys black or white, at half; they are blended afterwards")


def _texts(plan: Plan, kind: Pipeline, written: Sequence[Texts]) -> Iterator[str]:
    wanted = {
        "negative_prompt": any(text.negative for text in written),
        "prompt_2": any(text.prompt_2 is not None for text in written),
        "negative_prompt_2": any(text.negative_2 is not None for text in written),
        "clip_skip": any(text.skip for text in written),
    }
    yield from (f"takes no {name}" for name, is_given in wanted.items() if is_given and not kind.takes(name))
    is_distilled = kind.takes(CLASSIFIER_FREE) and guidance_name(kind) != CLASSIFIER_FREE
    free = plan.options_of(DecodeOptions).true_cfg or kind.defaults.get(CLASSIFIER_FREE) or 1
    if wanted["negative_prompt"] and is_distilled and free <= 1:
        yield "reads a negative prompt only with diffusers.decode.true_cfg above 1"


def _guidance(plan: Plan, kind: Pipeline) -> Iterator[str]:
    name = guidance_name(kind)
    if name is None and plan.request.guidance != Request.model_fields["guidance"].default:
        yield "takes no guidance"
    if plan.options_of(DecodeOptions).true_cfg is None:
        return
    if name == CLASSIFIER_FREE or not kind.takes(CLASSIFIER_FREE):
        yield "has no guidance beside the request's, so it takes no diffusers.decode.true_cfg"


def _task(plan: Plan, kind: Pipeline) -> Iterator[str]:
    given, named = task_options(plan), plan.options_for(plan.task).model_fields_set
    if "strength" in named and not kind.takes("strength"):
        yield "takes no strength"
    if given.get("differential"):
        yield "makes masks hard, so it takes no differential"
    if given.get("content") in LATENT:
        yield f"noises pictures alone, so it takes no content {given['content']}"


def _stages(plan: Plan) -> Iterator[str]:
    """The options of the stages about the sampling, which a whole pipeline does by itself."""
    names = [stage.name for stage in plan.stages]
    if names.count("sample") > 1:
        yield f"runs whole, so it cannot sample twice, as {plan.task.name} does"
    for stage in plan.stages[names.index("load") : names.index(plan.family.roles["decode"])]:
        options = plan.options_for(stage)
        for name, field in type(options).model_fields.items():
            if getattr(options, name) != field.get_default(call_default_factory=True):
                yield f"runs whole, so it takes no {stage.name}.{name}"
