"""Weights in 8 or 4 bits by SDNQ, the quantizer of SD.Next."""

from collections.abc import Sequence

from latentry_sdk import Component, QuantizerSpec, hookimpl

SCHEMES = ("int8", "uint4")
TORCH = frozenset({"cpu", "cuda", "rocm", "xpu", "mps"})


@hookimpl
def register_quantizers() -> Sequence[QuantizerSpec]:
    """The quantizer `sdnq`."""
    return [
        QuantizerSpec(
            "sdnq",
            SCHEMES,
            frozenset({"*"}),
            quantize,
            requires=("sdnq>=0.2",),
            bits={"int8": 8.1, "uint4": 6.0},
            errors={"int8": 0.05, "uint4": 0.4},
            devices=dict.fromkeys(SCHEMES, TORCH),
            description="Weights in 8 or 4 bits by SDNQ",
        )
    ]


def quantize(component: Component, scheme: str) -> Component:
    """The component with the weights of its linear and convolution layers in `scheme`; SDNQ is imported."""
    from latentry_sdk.quantizing import quantized
    from latentry_sdnq.codecs import codec

    return quantized(component, codec(scheme), f"sdnq:{scheme}")
