"""Weights in 8 or 4 bits by bitsandbytes."""

from collections.abc import Sequence

from latentry_sdk import Component, QuantizerSpec, hookimpl

SCHEMES = ("nf4", "fp4", "int8")
TORCH = frozenset({"cpu", "cuda", "rocm", "xpu"})


@hookimpl
def register_quantizers() -> Sequence[QuantizerSpec]:
    """The quantizer `bitsandbytes`."""
    return [
        QuantizerSpec(
            "bitsandbytes",
            SCHEMES,
            frozenset({"*"}),
            quantize,
            requires=("bitsandbytes>=0.46",),
            bits={"nf4": 4.5, "fp4": 4.5, "int8": 8.1},
            errors={"nf4": 0.6, "fp4": 0.6, "int8": 0.05},
            devices=dict.fromkeys(SCHEMES, TORCH),
            description="Weights in 8 or 4 bits by bitsandbytes",
        )
    ]


def quantize(component: Component, scheme: str) -> Component:
    """The component with the weights of its linear and convolution layers in `scheme`."""
    from latentry_bitsandbytes.codecs import codec
    from latentry_sdk.quantizing import quantized

    return quantized(component, codec(scheme), f"bitsandbytes:{scheme}")
