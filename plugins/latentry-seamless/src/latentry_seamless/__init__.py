"""Pictures that tile: beyond an edge, the model sees the opposite one."""

from collections.abc import Sequence

from latentry_sdk import JOB, PLACED, Field, InvalidRequest, Options, StageSpec, State, hookimpl
from latentry_sdk.modules import placed_module

PARTS = ("unet", "vae_encoder", "vae_decoder")
"""The components whose convolutions reach over a picture's edges."""


class SeamlessOptions(Options):
    """The directions in which the picture tiles."""

    seamless_x: bool = Field(False, description="Fit the left edge to the right one")
    seamless_y: bool = Field(False, description="Fit the upper edge to the lower one")


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stage after `load`."""
    return [
        StageSpec(
            "seamless",
            fit,
            needs=(JOB, PLACED),
            options=SeamlessOptions,
            description="Make pictures that tile",
        )
    ]


def fit(state: State) -> State:
    """Have the model see the opposite edges until the job ends."""
    job, options = state[JOB], state[JOB].options(SeamlessOptions)
    if not (options.seamless_x or options.seamless_y):
        return state
    from latentry_seamless.wrapping import wrap

    parts = [name for name in PARTS if name in state[PLACED]]
    if not parts:
        raise InvalidRequest(f"{job.plan.family.name!r} models have no parts that could make pictures tile")
    for module in [placed_module(state, name) for name in parts]:
        job.undos.callback(wrap(module, x=options.seamless_x, y=options.seamless_y))
    job.apply("seamless", {"x": options.seamless_x, "y": options.seamless_y})
    return state
