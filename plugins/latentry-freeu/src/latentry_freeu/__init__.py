"""FreeU, arXiv:2309.11497: more of a UNet's backbone, and less of what its skip connections carry."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from latentry_sdk import JOB, PLACED, Field, InvalidRequest, Number, Options, StageSpec, State, Undo, hookimpl
from latentry_sdk.modules import placed_module

if TYPE_CHECKING:
    from torch.nn import Module

UNET = "unet"
OFF = 1.0
MOST = 10


class FreeUOptions(Options):
    """Factors for the first (1) and second (2) level of the UNet's upward half; all of 1 is off.

    `b1` and `b2` scale half of the backbone's channels, `s1` and `s2` the lowest frequencies of the skip
    connections.
    """

    freeu_b1: Number = Field(OFF, gt=0, le=MOST, description="FreeU: backbone at the first level; 1 is off")
    freeu_b2: Number = Field(OFF, gt=0, le=MOST, description="FreeU: backbone at the second level; 1 is off")
    freeu_s1: Number = Field(OFF, gt=0, le=MOST, description="FreeU: skip connections at the first level")
    freeu_s2: Number = Field(OFF, gt=0, le=MOST, description="FreeU: skip connections at the second level")


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stage after `load`."""
    return [
        StageSpec(
            "freeu",
            scale,
            needs=(JOB, PLACED),
            options=FreeUOptions,
            description="Weigh the UNet's backbone against its skip connections",
        )
    ]


def scale(state: State) -> State:
    """Turn FreeU on until the job ends, where a factor is not 1."""
    job, options = state[JOB], state[JOB].options(FreeUOptions).model_dump()
    factors = {name.removeprefix("freeu_"): value for name, value in options.items()}
    if set(factors.values()) == {OFF}:
        return state
    found = placed_module(state, UNET).modules() if UNET in state[PLACED] else ()
    unet = next((part for part in found if hasattr(part, "enable_freeu")), None)
    if unet is None:
        raise InvalidRequest(f"{job.plan.family.name!r} models have no UNet that FreeU could change")
    job.undos.callback(enable(unet, factors))
    job.apply("freeu", factors)
    return state


def enable(unet: "Module", factors: dict[str, float]) -> Undo:
    """Enable FreeU in a UNet of diffusers; the undo leaves nothing behind."""
    model: Any = unet
    model.enable_freeu(**factors)
    return partial(disable, model, tuple(factors))


def disable(unet: Any, names: Sequence[str]) -> None:
    """Take the factors away: diffusers' own `disable_freeu` leaves attributes of None."""
    unet.disable_freeu()
    for block in unet.up_blocks:
        for name in names:
            delattr(block, name)
