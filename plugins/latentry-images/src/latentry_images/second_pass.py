"""What AUTOMATIC1111 writes of a second pass at a larger size, from what the task `hires` tells."""

from collections.abc import Mapping
from typing import Any

from latentry_sdk import Job, Plan

TASK = "hires"


def is_larger(job: Job) -> bool:
    """Whether the job had such a pass: its `Size` is then the first one's."""
    return TASK in job.applied and job.plan.further.get(TASK) is not None


def second_pass(job: Job) -> Mapping[str, Any]:
    """The fields by AUTOMATIC1111's names; none where there was no second pass.

    `Hires steps` are those that were run: there, a strength takes none away.
    """
    second = job.plan.further.get(TASK)
    if not is_larger(job) or second is None:
        return {}
    told = job.applied[TASK]
    return {
        "Denoising strength": told["strength"],
        **_size(job.plan.size, second.size),
        "Hires steps": told["steps"],
        "Hires upscaler": upscaler_name(told["upscaler"]),
        **_changed(job.plan, second),
    }


def upscaler_name(name: str) -> str:
    """AUTOMATIC1111's: "Latent (nearest-exact)" for `latent_nearest_exact`, "Lanczos" for `lanczos`."""
    kind, _, more = name.partition("_")
    detail = more.replace("nearest_exact", "nearest-exact").replace("_", " ")
    return f"{kind.capitalize()} ({detail})" if detail else kind.capitalize()


def _size(first: tuple[int, int], second: tuple[int, int]) -> Mapping[str, str]:
    """One factor where it says it exactly, otherwise both sides in pixels."""
    scale = f"{second[0] / first[0]:g}"
    if all(side * float(scale) == larger for side, larger in zip(first, second, strict=True)):
        return {"Hires upscale": scale}
    return {"Hires resize": "x".join(map(str, second))}


def _changed(first: Plan, second: Plan) -> Mapping[str, Any]:
    """What the second pass has of its own."""
    own, others = (
        {
            "Hires sampler": plan.sampler.label or plan.sampler.name,
            "Hires schedule type": plan.scheduler.label or plan.scheduler.name,
            "Hires CFG Scale": plan.request.guidance,
            "Hires prompt": plan.request.prompt,
            "Hires negative prompt": plan.request.negative,
        }
        for plan in (second, first)
    )
    return {key: value for key, value in own.items() if value != others[key]}
