"""Token merging for Stable Diffusion, arXiv:2303.17604: fewer tokens in self-attention."""

from collections.abc import Sequence
from functools import partial

from latentry_sdk import (
    Component,
    Count,
    Device,
    Field,
    Footprint,
    Number,
    OptimizerSpec,
    Options,
    Undo,
    Work,
    hookimpl,
)


class TomeOptions(Options):
    """How many tokens are merged, and where."""

    ratio: Number = Field(0.5, ge=0, le=0.75, description="The share of tokens that are merged into others")
    levels: Count = Field(1, ge=1, le=4, description="How many levels of the UNet, from the finest on")


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """The optimizer `tome`, which changes the picture and so is used only where it is named."""
    return [
        OptimizerSpec(
            "tome",
            parts=frozenset({"unet"}),
            estimate=unchanged,
            apply=merge_tokens,
            options=TomeOptions,
            error=0.3,
            description="Merge tokens that are alike before self-attention",
        )
    ]


def unchanged(footprint: Footprint, _work: Work, *, ratio: float, levels: int) -> Footprint:  # noqa: ARG001
    """It saves time; the layers around attention take as much memory as before."""
    return footprint


def merge_tokens(
    component: Component, device: Device, *, ratio: float, levels: int
) -> tuple[Component, Undo]:
    """The component with tokens merged in the self-attention of its finest `levels`."""
    from latentry_sdk.self_attention import change_self_attention
    from latentry_tome.merging import around

    merging = partial(around, ratio=ratio)
    return change_self_attention(component, device, "tome", lambda at: merging if at < levels else None)
