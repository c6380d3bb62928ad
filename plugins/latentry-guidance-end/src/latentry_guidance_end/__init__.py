"""Guidance in a part of the steps, arXiv:2404.07724: the middle ones profit from it, the others do not."""

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from latentry_sdk import JOB, SIGMAS, Field, Number, Options, StageSpec, State, hookimpl
from latentry_sdk.guidance import GUIDED_STEPS, check_guides, needs_guides


class EndOptions(Options):
    """The steps with guidance, as fractions of those that run."""

    guidance_start: Number = Field(
        0.0, ge=0, le=1, description="The part of the steps after which guidance begins"
    )
    guidance_end: Number = Field(
        1.0, ge=0, le=1, description="The part of the steps after which guidance ends"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.guidance_start > self.guidance_end:
            raise ValueError(
                f"guidance starts at {self.guidance_start:g}, after its end at {self.guidance_end:g}"
            )
        return self


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stage before the family's denoiser."""
    return [
        StageSpec(
            "guidance_end",
            limit,
            needs=(JOB, SIGMAS),
            options=EndOptions,
            further=needs_guides(EndOptions),
            description="Guide in a part of the steps",
        )
    ]


def limit(state: State) -> State:
    """Say which steps have a negative row, where not all have."""
    job, options, steps = state[JOB], state[JOB].options(EndOptions), len(state[SIGMAS]) - 1
    if (options.guidance_start, options.guidance_end) == (0, 1):
        return state
    check_guides(state)
    if job.plan.request.guidance <= 1:
        job.warn("guidance_end has no effect: guidance is off")
        return state
    guided = guided_steps(steps, options)
    job.apply("guided_steps", list(guided))
    return state.put(GUIDED_STEPS, guided)


def guided_steps(steps: int, options: EndOptions) -> range:
    """The guided ones of steps 1 … `steps`: both edges are rounded down, as diffusers' guiders do."""
    return range(int(options.guidance_start * steps) + 1, int(options.guidance_end * steps) + 1)
