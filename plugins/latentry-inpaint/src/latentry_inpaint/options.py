"""How strongly to change the picture, and which strengths make no sense."""

from latentry_sdk import Field, InvalidRequest, Number, Options, Request


class InpaintOptions(Options):
    """What a user can say about inpainting beside the prompt."""

    strength: Number = Field(
        1.0, gt=0, le=1, description="How much to change: 1 starts from noise alone, less from the picture"
    )


def steps_left(steps: int, strength: float) -> int:
    """How many of `steps` a strength runs; diffusers' rounding."""
    return min(int(steps * strength), steps)


def check(request: Request, options: InpaintOptions) -> None:
    """Refuse a strength that leaves no step to run."""
    if steps_left(request.steps, options.strength) < 1:
        raise InvalidRequest(
            f"strength {options.strength:g} of {request.steps} steps leaves no step to run",
            fix="raise strength or steps until their product is at least 1",
        )
