"""A second model for the last steps, as SDXL's refiner."""

from collections.abc import Sequence

from latentry_refiner.options import RefinerOptions
from latentry_refiner.planning import NAME, second
from latentry_refiner.refining import refine, split
from latentry_sdk import JOB, LATENTS, PLACED, SIGMAS, StageSpec, hookimpl


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stages before and after the first model's sampling."""
    return [
        StageSpec(
            f"{NAME}.split",
            split,
            needs=(JOB, SIGMAS),
            gives=(JOB, SIGMAS),
            description="Leave the last steps to another model",
        ),
        StageSpec(
            NAME,
            refine,
            needs=(JOB, LATENTS, PLACED),
            gives=(JOB, LATENTS, PLACED),
            options=RefinerOptions,
            further=second,
            description="Take the last steps with another model",
        ),
    ]
