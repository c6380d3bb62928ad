"""Weights in fewer bits than are computed in, and VAEs that compute in more."""

from collections.abc import Sequence
from typing import Literal

from latentry_layerwise import estimates
from latentry_layerwise.applying import apply_layerwise, apply_upcast
from latentry_sdk import Field, OptimizerSpec, Options, hookimpl

DENOISERS = frozenset({"unet", "transformer"})
VAES = frozenset({"vae_encoder", "vae_decoder"})


class LayerwiseOptions(Options):
    """What weights are kept in."""

    storage: Literal["float8_e4m3fn", "float16", "bfloat16"] = Field(
        "float8_e4m3fn", description="The type that weights are kept in"
    )


class UpcastOptions(Options):
    """When the VAE computes in float32."""

    always: bool = Field(False, description="From the start, not only once half precision gave no numbers")


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """One for denoisers, one for VAEs."""
    return [
        OptimizerSpec(
            "layerwise-casting", DENOISERS, estimates.layerwise, apply_layerwise, options=LayerwiseOptions,
            rung=40, error=0.1, description="Keep weights in 8 bits, and cast each layer's for its call",
        ),
        OptimizerSpec(
            "vae-upcast", VAES, estimates.upcast, apply_upcast, options=UpcastOptions, error=0.02,
            description="Compute the VAE in float32 where half precision gives no numbers",
        ),
    ]  # fmt: skip
