"""What a pipeline is called with for one image."""

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.sources import Pipeline
from latentry_diffusers.texts import Texts
from latentry_sdk import JOB, MASK, SIZE, SOURCE, Field, Job, Number, Options, Plan, State

DISTILLED, CLASSIFIER_FREE = "guidance_scale", "true_cfg_scale"


class DecodeOptions(Options):
    """What a user can say about a whole pipeline beside the request."""

    true_cfg: Number | None = Field(
        None, ge=0, le=100, description="Classifier-free guidance of a model that was distilled with guidance"
    )


def arguments(state: State, kind: Pipeline, text: Texts, seed: int) -> Mapping[str, Any]:
    """The arguments of one image, as far as the class takes them. Noise comes from a generator on the CPU.

    No class may work at the nearest size that it was trained on instead of the one asked for, nor clean the
    prompt, which it does only where two further libraries are installed.
    """
    from torch import Generator

    job, (width, height) = state[JOB], state[SIZE]
    wanted = {
        "num_inference_steps": job.plan.request.steps,
        "width": width,
        "height": height,
        "num_frames": 1,
        "image": state.get(SOURCE),
        "mask_image": state.get(MASK),
        "strength": task_options(job.plan).get("strength"),
        "generator": Generator().manual_seed(seed),
        "output_type": "np",
        "use_resolution_binning": False,
        "clean_caption": False,
        **_words(kind, text),
        **_guidance(job, kind),
    }
    return {name: value for name, value in wanted.items() if value is not None and kind.takes(name)}


def guidance_name(kind: Pipeline) -> str | None:
    """The parameter that a request's guidance is: what the class has a number for; None where it has none.

    Flux takes two: the one it was distilled with is a number, classifier-free guidance is off by default.
    """
    if kind.defaults.get(DISTILLED) is None and kind.takes(CLASSIFIER_FREE):
        return CLASSIFIER_FREE
    return DISTILLED if kind.takes(DISTILLED) else None


def guidance(job: Job, kind: Pipeline) -> float | None:
    """The request's guidance; the class's own default where the request leaves it out."""
    name, request = guidance_name(kind), job.plan.request
    if name is None:
        return None
    default: float | None = kind.defaults.get(name)
    return request.guidance if "guidance" in request.model_fields_set else default


def task_options(plan: Plan) -> Mapping[str, Any]:
    """The options of the plan's task by name, which are another plugin's."""
    return dict(plan.options_for(plan.task))


def _words(kind: Pipeline, text: Texts) -> Mapping[str, Any]:
    """The texts. Without a negative prompt classifier-free guidance is away from the empty one."""
    is_free = guidance_name(kind) == CLASSIFIER_FREE
    return {
        "prompt": text.prompt,
        "negative_prompt": text.negative if text.negative or is_free else None,
        "prompt_2": text.prompt_2,
        "negative_prompt_2": text.negative_2,
        "clip_skip": text.skip or None,
    }


def _guidance(job: Job, kind: Pipeline) -> Mapping[str, Any]:
    name, value = guidance_name(kind), guidance(job, kind)
    return {CLASSIFIER_FREE: job.options(DecodeOptions).true_cfg, **({name: value} if name else {})}
