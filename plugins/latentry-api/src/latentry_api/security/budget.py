"""What one job may cost, known before it is planned.

The unit is the megapixel-step: a million pixels taken through one sampling step. A picture of
1024 × 1024 in 20 steps is 21 of them, four such pictures are 84.
"""

from latentry_api.security.options import SecurityOptions
from latentry_sdk import InvalidInput, InvalidRequest, Plan, Request, parsed
from latentry_sdk.service import Wish


def check_wish(wish: Wish, options: SecurityOptions) -> None:
    """Raise `UserError` for inputs or work over the limits; a size that is left out is known to the plan."""
    sent = sum(map(len, wish.inputs.values()))
    if sent > options.body_megabytes * 1_000_000:
        raise InvalidInput(f"the inputs have {sent / 1e6:.1f} MB; {options.body_megabytes:g} are taken")
    request = parsed(Request, {**wish.request, "inputs": {}})
    pixels = (request.width or 0) * (request.height or 0) * request.batch
    _check(pixels * request.steps / 1e6, options)


def check_plan(plan: Plan, options: SecurityOptions) -> None:
    """The same for a plan, which knows its size; the plans that it works by beside its own are added."""
    _check(megapixel_steps(plan), options)


def megapixel_steps(plan: Plan) -> float:
    """The work of a plan and of its further plans."""
    further = sum(megapixel_steps(other) for other in plan.further.values() if other is not None)
    width, height = plan.size
    return width * height * len(plan.seeds) * (len(plan.sigmas) - 1) / 1e6 + further


def _check(asked: float, options: SecurityOptions) -> None:
    if asked > options.megapixel_steps:
        raise InvalidRequest(
            f"this asks for {asked:.0f} megapixel-steps; {options.megapixel_steps:g} are taken",
            fix="ask for fewer pixels, pictures or steps",
        )
