"""Linear and convolution layers that keep their weights in fewer bits."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

SMALLEST = 16
"""Layers with fewer inputs or outputs keep their weights: a model's first and last, which cost little."""

Kept = Mapping[str, "Tensor"]
"""What a layer keeps instead of its weight, by the name it is stored under: "weight", "weight.absmax" …"""


def as_stored(kept: Kept, _shape: tuple[int, ...]) -> Kept:
    """What was stored, as it is."""
    return kept


@dataclass(frozen=True)
class Codec:
    """How one scheme keeps weights.

    `pack(weight)` gives what is kept instead, or None for a weight that it leaves as it is; weights come in
    32 bits or more. `unpack(kept, shape, dtype)` gives the weight that this stands for. `adopt(kept, shape)`
    makes what `unpack` reads out of what a checkpoint stores, and raises `ValueError` or `KeyError` for what
    it cannot read.
    `linear(x, kept, bias)` is a product of its own for linear layers; without it they use the weight.
    Numbers to be kept in less than 16 bits are of an integer type: a device casts all others.
    """

    pack: "Callable[[Tensor], Kept | None]"
    unpack: "Callable[[Kept, tuple[int, ...], Any], Tensor]"
    adopt: "Callable[[Kept, tuple[int, ...]], Kept]" = as_stored
    linear: "Callable[[Tensor, Kept, Tensor | None], Tensor] | None" = None


def layers(module: "Module") -> Iterator[tuple[str, Any]]:
    """The linear and convolution layers, with their names."""
    import torch

    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    return ((name, layer) for name, layer in module.named_modules() if type(layer) in kinds)


def packed(layer: Any, codec: Codec) -> Any:
    """The layer with its weight packed, or None where it keeps it."""
    if min(layer.weight.shape[:2]) < SMALLEST:
        return None
    weight = layer.weight.detach()
    kept = codec.pack(weight.float() if weight.element_size() < 4 else weight)
    return None if kept is None else keeping(layer, codec, kept)


def keeping(layer: Any, codec: Codec, kept: Kept) -> Any:
    """A copy of the layer that keeps this in its weight's stead; the weight itself is not copied."""
    import torch

    linear, convolution = _classes()
    made = copy.deepcopy(layer, {id(layer.weight): None})
    made.__class__ = linear if isinstance(layer, torch.nn.Linear) else convolution
    del made._parameters["weight"]
    made.codec, made.shape, made.names = codec, tuple(layer.weight.shape), tuple(kept)
    for i, tensor in enumerate(kept.values()):
        made.register_buffer(f"kept_{i}", tensor)
    return made


def packed_layers(module: "Module") -> Iterator[tuple[str, Any]]:
    """The layers in a module that keep their weights packed, with their names."""
    return ((name, layer) for name, layer in module.named_modules() if isinstance(layer, _classes()))


@cache
def _classes() -> tuple[Any, Any]:
    """The two kinds of packed layers; made when torch is there."""
    import torch
    from torch.nn import functional

    base: Any = _packed_class()
    nn: Any = torch.nn

    class PackedLinear(base, nn.Linear):  # type: ignore[misc]
        def forward(self, input: torch.Tensor) -> Any:  # noqa: A002
            if self.codec.linear is not None:
                return self.codec.linear(input, self.kept(), self.bias)
            return functional.linear(input, self.unpacked(input.dtype), self.bias)

    class PackedConvolution(base, nn.Conv2d):  # type: ignore[misc]
        def forward(self, input: torch.Tensor) -> Any:  # noqa: A002
            return self._conv_forward(input, self.unpacked(input.dtype), self.bias)

    return PackedLinear, PackedConvolution


def _packed_class() -> Any:
    import torch

    class Packed(torch.nn.Module):
        """A layer that keeps something smaller in its weight's stead.

        It stays a linear or a convolution layer to whoever looks at its kind; its `weight` is made anew each
        time that somebody asks.
        """

        codec: Codec
        shape: tuple[int, ...]
        names: tuple[str, ...]

        @property
        def weight(self) -> torch.Tensor:
            return self.unpacked(torch.get_default_dtype())

        def unpacked(self, dtype: torch.dtype) -> torch.Tensor:
            return self.codec.unpack(self.kept(), self.shape, dtype)

        def kept(self) -> dict[str, torch.Tensor]:
            return {name: self._buffers[f"kept_{i}"] for i, name in enumerate(self.names)}  # type: ignore[misc]

        def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
            for name, tensor in self._parameters.items():
                if tensor is not None:
                    destination[prefix + name] = tensor if keep_vars else tensor.detach()
            destination.update({prefix + name: tensor for name, tensor in self.kept().items()})

        def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
            names = {prefix + name: f"{prefix}kept_{i}" for i, name in enumerate(self.names)}
            own = {names.get(key, key): state_dict[key] for key in state_dict if key.startswith(prefix)}
            super()._load_from_state_dict(own, prefix, *rest)

    return Packed
