"""Weights in 8 or 4 bits by optimum-quanto."""

from collections.abc import Sequence

from latentry_sdk import Component, QuantizerSpec, hookimpl

SCHEMES = ("int8", "int4", "float8")
TORCH = frozenset({"cpu", "cuda", "rocm", "xpu", "mps"})


@hookimpl
def register_quantizers() -> Sequence[QuantizerSpec]:
    """The quantizer `quanto`."""
    return [
        QuantizerSpec(
            "quanto",
            SCHEMES,
            frozenset({"*"}),
            quantize,
            requires=("optimum-quanto>=0.2.7",),
            bits={"int8": 8.1, "int4": 4.6, "float8": 8.1},
            errors={"int8": 0.05, "int4": 0.35, "float8": 0.12},
            devices=dict.fromkeys(SCHEMES, TORCH),
            description="Weights in 8 or 4 bits by optimum-quanto",
        )
    ]


def quantize(component: Component, scheme: str) -> Component:
    """The component with the weights of its linear and convolution layers in `scheme`; quanto is imported."""
    from latentry_quanto.codecs import codec
    from latentry_sdk.quantizing import quantized

    return quantized(component, codec(scheme), f"quanto:{scheme}")
