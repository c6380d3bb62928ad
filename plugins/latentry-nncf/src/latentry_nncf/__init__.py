"""Weights in 8 or 4 bits by NNCF, in a form that OpenVINO keeps when it converts a component."""

from collections.abc import Sequence

from latentry_sdk import Component, QuantizerSpec, hookimpl

SCHEMES = ("int8", "int4")
ABLE = frozenset({"openvino", "cpu", "cuda", "rocm", "xpu"})


@hookimpl
def register_quantizers() -> Sequence[QuantizerSpec]:
    """The quantizer `nncf`."""
    return [
        QuantizerSpec(
            "nncf",
            SCHEMES,
            frozenset({"*"}),
            quantize,
            requires=("nncf>=3,<4",),
            bits={"int8": 8.1, "int4": 4.7},
            errors={"int8": 0.05, "int4": 0.4},
            devices=dict.fromkeys(SCHEMES, ABLE),
            description="Weights in 8 or 4 bits by NNCF, for OpenVINO",
        )
    ]


def quantize(component: Component, scheme: str) -> Component:
    """The component with the weights of its linear and convolution layers in `scheme`; NNCF is imported."""
    from latentry_nncf.codecs import codec
    from latentry_sdk.quantizing import quantized

    return quantized(component, codec(scheme), f"nncf:{scheme}")
