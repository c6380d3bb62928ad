"""Refuse what a pipeline cannot do as asked, before its weights are read."""

from collections.abc import Iterator, Sequence

from latentry_diffusers.abilities import ability
from latentry_diffusers.arguments import CLASSIFIER_FREE, DecodeOptions, guidance_name, task_options
from latentry_diffusers.sources import Pipeline
from latentry_diffusers.texts import Texts, texts
from latentry_sdk import JOB, MASK, SOURCE, InvalidRequest, Job, Request, State

LATENT = ("latent_noise", "latent_nothing")
LACKS = {"txt2img": "needs a picture", "img2img": "takes no picture", "inpaint": "takes no mask"}


def kind_of(state: State) -> Pipeline:
    """The class that takes what the state has; `InvalidRequest` where there is none."""
    named = state[JOB].plan.detected.variant
    task = "inpaint" if MASK in state else "img2img" if SOURCE in state else "txt2img"
    if found := ability(named, task):
        return found
    raise InvalidRequest(f"{named} {LACKS[task]}", fix="name another task or model")


def refuse(state: State) -> None:
    """Raise `InvalidRequest` for the first thing that the pipeline would leave out."""
    job, kind, written = state[JOB], kind_of(state), texts(state)
    for problem in (*_texts(job, kind, written), *_guidance(job, kind), *_task(job, kind), *_stages(job)):
        raise InvalidRequest(f"{kind.name} {problem}", fix="leave it out or name another model")
    if kind.takes("image") and not kind.takes("strength"):
        job.warn(f"{kind.name} has no strength: the picture is taken whole")
    if MASK in state and any(state[MASK].histogram()[1:255]):
        job.warn(f"{kind.name} makes the mask's greys black or white, at half; they are blended afterwards")


def _texts(job: Job, kind: Pipeline, written: Sequence[Texts]) -> Iterator[str]:
    wanted = {
        "negative_prompt": any(text.negative for text in written),
        "prompt_2": any(text.prompt_2 is not None for text in written),
        "negative_prompt_2": any(text.negative_2 is not None for text in written),
        "clip_skip": any(text.skip for text in written),
    }
    yield from (f"takes no {name}" for name, is_given in wanted.items() if is_given and not kind.takes(name))
    is_distilled = kind.takes(CLASSIFIER_FREE) and guidance_name(kind) != CLASSIFIER_FREE
    free = job.options(DecodeOptions).true_cfg or kind.defaults.get(CLASSIFIER_FREE) or 1
    if wanted["negative_prompt"] and is_distilled and free <= 1:
        yield "reads a negative prompt only with diffusers.decode.true_cfg above 1"


def _guidance(job: Job, kind: Pipeline) -> Iterator[str]:
    name = guidance_name(kind)
    if name is None and job.plan.request.guidance != Request.model_fields["guidance"].default:
        yield "takes no guidance"
    if job.options(DecodeOptions).true_cfg is None:
        return
    if name == CLASSIFIER_FREE or not kind.takes(CLASSIFIER_FREE):
        yield "has no guidance beside the request's, so it takes no diffusers.decode.true_cfg"


def _task(job: Job, kind: Pipeline) -> Iterator[str]:
    given, named = task_options(job), job.plan.options_for(job.plan.task).model_fields_set
    if "strength" in named and not kind.takes("strength"):
        yield "takes no strength"
    if given.get("differential"):
        yield "makes masks hard, so it takes no differential"
    if given.get("content") in LATENT:
        yield f"noises pictures alone, so it takes no content {given['content']}"


def _stages(job: Job) -> Iterator[str]:
    """The options of the stages about the sampling, which a whole pipeline does by itself."""
    plan = job.plan
    names = [stage.name for stage in plan.stages]
    if names.count("sample") > 1:
        yield f"runs whole, so it cannot sample twice, as {plan.task.name} does"
    for stage in plan.stages[names.index("load") : names.index(plan.family.roles["decode"])]:
        options = plan.options_for(stage)
        for name, field in type(options).model_fields.items():
            if getattr(options, name) != field.get_default(call_default_factory=True):
                yield f"runs whole, so it takes no {stage.name}.{name}"
