"""HyperTile: self-attention within tiles of the picture, for large pictures."""

from collections.abc import Sequence
from functools import partial

from latentry_sdk import (
    Component,
    Count,
    Device,
    Field,
    Footprint,
    OptimizerSpec,
    Options,
    Undo,
    Work,
    hookimpl,
)


class HyperTileOptions(Options):
    """How large the tiles are, and where."""

    tile: Count = Field(
        32, ge=1, le=4096, description="Smallest side of a tile at the finest level, in tokens"
    )
    levels: Count = Field(2, ge=1, le=4, description="How many levels of the UNet, from the finest on")


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """The optimizer `hypertile`, which changes the picture and so is used only where it is named."""
    return [
        OptimizerSpec(
            "hypertile",
            parts=frozenset({"unet"}),
            estimate=unchanged,
            apply=tile_attention,
            options=HyperTileOptions,
            error=0.3,
            description="Self-attention within tiles of the picture",
        )
    ]


def unchanged(footprint: Footprint, _work: Work, *, tile: int, levels: int) -> Footprint:  # noqa: ARG001
    """It saves time; the layers around attention take as much memory as before."""
    return footprint


def tile_attention(component: Component, device: Device, *, tile: int, levels: int) -> tuple[Component, Undo]:
    """The component with self-attention in tiles at its finest `levels`; each next one has half the side."""
    from latentry_hypertile.tiles import around
    from latentry_sdk.self_attention import Around, change_self_attention

    def chosen(level: int) -> Around | None:
        return partial(around, least=max(1, tile >> level)) if level < levels else None

    return change_self_attention(component, device, "hypertile", chosen)
