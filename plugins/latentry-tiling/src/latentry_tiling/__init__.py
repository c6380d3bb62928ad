"""Tiling and slicing of VAEs: less memory for large pictures, and for batches."""

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from latentry_sdk import Count, Field, OptimizerSpec, Options, hookimpl
from latentry_tiling.applying import apply_slicing, apply_tiling
from latentry_tiling.estimates import sliced, tiled

PARTS = frozenset({"vae_encoder", "vae_decoder"})


class TilingOptions(Options):
    """The pieces that a picture is worked on in, in its pixels."""

    tile: Count = Field(512, ge=32, le=8192, description="Sides of a piece, with what it shares")
    halo: Count = Field(
        64, ge=8, le=1024, description="What a piece shares with its neighbours, at each side"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.tile < 4 * self.halo:
            raise ValueError("tile must be at least four times halo")
        return self


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """Two for the halves of the VAE."""
    return [
        OptimizerSpec(
            "vae-tiling", PARTS, tiled, apply_tiling, options=TilingOptions, rung=10, error=0.15,
            description="Decode and encode pictures in pieces",
        ),
        OptimizerSpec(
            "vae-slicing", PARTS, sliced, apply_slicing, rung=20, error=1e-4,
            description="Decode and encode one picture of a batch at a time",
        ),
    ]  # fmt: skip
