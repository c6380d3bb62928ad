"""GGUF files, and weights in the blocks that they hold."""

from collections.abc import Sequence
from typing import Any

import click

from latentry_gguf.commands import gguf
from latentry_sdk import Component, QuantizerSpec, Unavailable, hookimpl

MADE = ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0")
STORED = "stored"
TORCH = frozenset({"cpu", "cuda", "rocm", "xpu"})


@hookimpl
def register_quantizers() -> Sequence[QuantizerSpec]:
    """The quantizer `gguf`; its scheme `stored` is for what a file holds, each weight in its own way."""
    return [
        QuantizerSpec(
            "gguf",
            (*MADE, STORED),
            frozenset({"*"}),
            quantize,
            requires=("gguf>=0.17",),
            bits={"q8_0": 8.5, "q5_1": 6.0, "q5_0": 5.5, "q4_1": 5.0, "q4_0": 4.5},
            errors={"q8_0": 0.05, "q5_1": 0.2, "q5_0": 0.25, "q4_1": 0.4, "q4_0": 0.6},
            devices=dict.fromkeys((*MADE, STORED), TORCH),
            description="Weights in the blocks of GGUF files",
        )
    ]


@hookimpl
def register_commands(cli: Any) -> None:
    """`latentry gguf`."""
    group: click.Group = cli
    group.add_command(gguf)


def quantize(component: Component, scheme: str) -> Component:
    """The component with the weights of its linear and convolution layers in blocks of `scheme`."""
    from latentry_gguf.codecs import codec
    from latentry_sdk.quantizing import quantized

    if scheme == STORED and component.stored is None:
        raise Unavailable("gguf:stored is for what a GGUF file holds", fix=f"choose {', '.join(MADE)}")
    return quantized(component, codec(scheme), f"gguf:{scheme}")
