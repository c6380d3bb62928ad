"""Weights in 8 or 4 bits, and activations in 8, by torchao."""

from collections.abc import Sequence

from latentry_sdk import Component, QuantizerSpec, hookimpl

SCHEMES = ("int8", "int8-dynamic", "int4")
TORCH = frozenset({"cpu", "cuda", "rocm", "xpu", "mps"})
DYNAMIC = frozenset({"cpu", "cuda"})


@hookimpl
def register_quantizers() -> Sequence[QuantizerSpec]:
    """The quantizer `torchao`."""
    return [
        QuantizerSpec(
            "torchao",
            SCHEMES,
            frozenset({"*"}),
            quantize,
            requires=("torchao>=0.14",),
            bits={"int8": 8.1, "int8-dynamic": 8.1, "int4": 5.3},
            errors={"int8": 0.05, "int8-dynamic": 0.06, "int4": 0.35},
            devices={"int8": TORCH, "int8-dynamic": DYNAMIC, "int4": TORCH},
            description="Weights in 8 or 4 bits, and activations in 8, by torchao",
        )
    ]


def quantize(component: Component, scheme: str) -> Component:
    """The component with the weights of its linear and convolution layers in `scheme`.

    With `int8-dynamic` linear layers round their inputs too, each row by its own largest value.
    """
    from latentry_sdk.quantizing import quantized
    from latentry_torchao.codecs import codec

    return quantized(component, codec(scheme), f"torchao:{scheme}")
