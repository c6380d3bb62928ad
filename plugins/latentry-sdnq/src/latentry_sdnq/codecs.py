"""What SDNQ keeps of a weight, under the names of its own layers, and the weight that this stands for."""

from math import prod
from typing import TYPE_CHECKING, Any

from latentry_sdk.quantizing import Codec, Kept
from latentry_sdk.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor

DATA, SCALE, ZERO = "weight", "scale", "zero_point"


def codec(scheme: str) -> Codec:
    """The codec of `int8` or `uint4`."""
    if scheme == "uint4":
        return Codec(_pack_nibbles, _unpack_nibbles, _adopt_nibbles)
    return Codec(_pack_bytes, _unpack_bytes, _adopt_bytes)


def load_quantizer() -> Any:
    """SDNQ's quantizer, whose import warns of other libraries."""
    with quiet():
        from sdnq import quantizer

        return quantizer


def _packed(weight: "Tensor", scheme: str) -> dict[str, "Tensor"]:
    """SDNQ gives tensors of inference mode; copies are plain ones."""
    kind = "Linear" if weight.dim() == 2 else "Conv2d"
    _, found = load_quantizer().sdnq_quantize_layer_weight(weight, kind, weights_dtype=scheme)
    return {name: tensor.clone() for name, tensor in found.items() if tensor is not None}


def _pack_bytes(weight: "Tensor") -> Kept | None:
    """w = scale · data, one scale for all inputs of an output, in a filter for each of its places."""
    found = _packed(weight, "int8")
    return found if found.keys() == {DATA, SCALE} else None


def _unpack_bytes(kept: Kept, shape: tuple[int, ...], dtype: Any) -> "Tensor":
    return (kept[DATA].to(dtype) * kept[SCALE].to(dtype)).reshape(shape)


def _adopt_bytes(kept: Kept, shape: tuple[int, ...]) -> Kept:
    if kept[DATA].numel() != prod(shape):
        raise ValueError(f"{kept[DATA].numel()} bytes hold no weight of the shape {shape}")
    return _alone(kept, (DATA, SCALE))


def _pack_nibbles(weight: "Tensor") -> Kept | None:
    """w = zero + scale · data, where up to 64 inputs share both (filters: 32); first in the low half."""
    found = _packed(weight, "uint4")
    return found if found.keys() == {DATA, SCALE, ZERO} else None


def _unpack_nibbles(kept: Kept, shape: tuple[int, ...], dtype: Any) -> "Tensor":
    import torch

    data, scale = kept[DATA], kept[SCALE].to(dtype)
    both = torch.stack([data & 15, data >> 4], dim=-1).to(dtype).reshape(_grouped(shape, tuple(scale.shape)))
    return (both * scale + kept[ZERO].to(dtype)).reshape(shape)


def _adopt_nibbles(kept: Kept, shape: tuple[int, ...]) -> Kept:
    if 2 * kept[DATA].numel() != prod(shape):
        raise ValueError(f"{kept[DATA].numel()} bytes hold no weight of the shape {shape}")
    return _alone(kept, (DATA, SCALE, ZERO))


def _grouped(shape: tuple[int, ...], scales: tuple[int, ...]) -> tuple[int, ...]:
    """The weight's shape with its inputs cut into as many groups as there are scales for."""
    if len(scales) == len(shape):
        return shape
    rows, inputs, *places = shape
    return rows, scales[1], inputs // scales[1], *places


def _alone(kept: Kept, names: tuple[str, ...]) -> Kept:
    """What is read, and nothing more: SDNQ can also store a rotation or a part of low rank."""
    if unknown := sorted(kept.keys() - names):
        raise ValueError(f"SDNQ stored {', '.join(unknown)}, which is not read")
    return {name: kept[name] for name in names}
