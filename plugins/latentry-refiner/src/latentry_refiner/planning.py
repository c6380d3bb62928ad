"""Plan the second model together with the first, so that one that does not fit is refused then."""

from latentry_refiner.options import RefinerOptions
from latentry_sdk import InvalidRequest, ModelRange, Plan, timestep_at
from latentry_sdk.further import Planned, like
from latentry_sdk.levels import levels_of

NAME = "refiner"


def second(plan: Plan, planned: Planned) -> Plan | None:
    """The same task with the other model, at the same size by the same solver.

    It is made twice: first to learn which components the other model has, for what was asked of each.
    """
    options = plan.options_of(RefinerOptions)
    if options.refiner is None:
        return None
    request = plan.request
    changes = {
        "model": options.refiner,
        "width": plan.size[0],
        "height": plan.size[1],
        "sampler": plan.sampler.name,
        "scheduler": plan.scheduler.name,
        "options": {name: given for name, given in request.options.items() if name != NAME},
    }
    parts = {"*", *planned(like(plan, NAME, **changes, place={}, quantize={})).detected.components}
    place, quantize = (
        {part: value for part, value in given.items() if part in parts}
        for given in (request.place, request.quantize)
    )
    refiner = planned(like(plan, NAME, **changes, place=place, quantize=quantize))
    check_fit(plan, refiner)
    check_split(plan, options.switch_at)
    return refiner


def check_fit(plan: Plan, refiner: Plan) -> None:
    """Raise `InvalidRequest` for a model that cannot go on from the other's latents, or where it runs."""
    name = refiner.header.path.name
    if refiner.family.name != plan.family.name:
        raise InvalidRequest(f"{NAME}: {name} is no {plan.family.name!r} model as the first is")
    if not latent_space(plan) or latent_space(plan) != latent_space(refiner):
        variants = f"{refiner.detected.variant} models are not those of {plan.detected.variant}"
        raise InvalidRequest(f"{NAME}: the latents of {variants}")
    devices, others = ({place.device for place in each.placements.values()} for each in (plan, refiner))
    if away := others - devices:
        raise InvalidRequest(f"{NAME}: it would run on {min(away)!r}, which the first model does not use")


def check_split(plan: Plan, switch_at: float) -> None:
    """Raise `InvalidRequest` where one of the models has no step."""
    own = steps_before(plan.sigmas, levels_of(plan), switch_at)
    if not 0 < own < len(plan.sigmas) - 1:
        steps, idle = len(plan.sigmas) - 1, "second" if own else "first"
        raise InvalidRequest(
            f"{NAME}: of {steps} steps, switch_at {switch_at:g} leaves none to the {idle} model"
        )


def steps_before(sigmas: tuple[float, ...], levels: ModelRange, switch_at: float) -> int:
    """How many steps begin at or above the timestep where the models change; diffusers' rounding."""
    trained = len(levels.sigmas)
    change = round(trained - switch_at * trained)
    return sum(timestep_at(levels, sigma) >= change - 1e-3 for sigma in sigmas[:-1])


def latent_space(plan: Plan) -> frozenset[str]:
    """What the model's family says of its latents."""
    return frozenset(word for word in plan.detected.features if word.startswith("latents:"))
