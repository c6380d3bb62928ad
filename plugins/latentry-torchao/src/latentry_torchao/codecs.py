"""What torchao keeps of a weight, and the weight that this stands for."""

from typing import TYPE_CHECKING, Any

from latentry_sdk.quantizing import Codec, Kept
from latentry_sdk.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor

DATA, SCALE, ZERO = "weight.qdata", "weight.scale", "weight.zero_point"
GROUPS = (32, 16)
"""How many values of a row share a scale at 4 bits: the first that divides the row."""


def codec(scheme: str) -> Codec:
    """The codec of `int8`, `int8-dynamic` or `int4`."""
    if scheme == "int4":
        return Codec(_pack_nibbles, _unpack_nibbles, _adopt_nibbles)
    product = load_product() if scheme == "int8-dynamic" else None
    return Codec(_pack_rows, _unpack_rows, _adopt_rows, product)


def load_primitives() -> Any:
    """The module of torchao that rounds tensors; its import warns of parts that torch cannot load."""
    with quiet():
        from torchao.quantization import quant_primitives

        return quant_primitives


def load_product() -> Any:
    """`product(x, kept, bias)`: torchao's linear layer on numbers of 8 bits on both sides."""
    with quiet():
        from torchao.quantization import Int8Tensor, PerRow
        from torchao.quantization.quantize_.workflows.int8.int8_tensor import QuantizeTensorToInt8Kwargs
    from torch.nn.functional import linear

    rows = QuantizeTensorToInt8Kwargs(granularity=PerRow())

    def product(x: "Tensor", kept: Kept, bias: "Tensor | None") -> "Tensor":
        data, scale = kept[DATA], kept[SCALE].to(x.dtype)
        weight = Int8Tensor(data, scale, [1, data.shape[1]], x.dtype, act_quant_kwargs=rows)
        return linear(x, weight, bias)

    return product


def _pack_rows(weight: "Tensor") -> Kept:
    """One scale a row, symmetric: w = scale · data."""
    import torch

    torchao = load_primitives()
    block = (1, *weight.shape[1:])
    symmetric = torchao.MappingType.SYMMETRIC
    scale, zero = torchao.choose_qparams_affine(weight, symmetric, block, torch.int8)
    data = torchao.quantize_affine(weight, block, scale, zero, torch.int8)
    return {DATA: data, SCALE: scale.reshape(-1, *[1] * (weight.dim() - 1))}


def _unpack_rows(kept: Kept, _shape: tuple[int, ...], dtype: Any) -> "Tensor":
    return kept[DATA].to(dtype) * kept[SCALE].to(dtype)


def _adopt_rows(kept: Kept, shape: tuple[int, ...]) -> Kept:
    if tuple(kept[DATA].shape) != shape:
        raise ValueError(f"a weight has the shape {tuple(kept[DATA].shape)} instead of {shape}")
    return {name: kept[name] for name in (DATA, SCALE)}


def _pack_nibbles(weight: "Tensor") -> Kept | None:
    """A scale and a zero for a group of a row: w = scale · (data - zero); even columns in the lower half."""
    import torch

    torchao = load_primitives()
    rows = weight.flatten(1)
    group = next((size for size in GROUPS if rows.shape[1] % size == 0), None)
    if group is None:
        return None
    asymmetric, block = torchao.MappingType.ASYMMETRIC, (1, group)
    scale, zero = torchao.choose_qparams_affine(rows, asymmetric, block, torch.uint8, 0, 15)
    data = torchao.quantize_affine(rows, block, scale, zero, torch.uint8, 0, 15)
    return {DATA: data[:, ::2] | data[:, 1::2] << 4, SCALE: scale, ZERO: zero.to(torch.uint8)}


def _unpack_nibbles(kept: Kept, shape: tuple[int, ...], dtype: Any) -> "Tensor":
    import torch

    data, scale = kept[DATA], kept[SCALE].to(dtype)
    both = torch.stack([data & 15, data >> 4], dim=-1)
    groups = both.reshape(*scale.shape, -1).to(dtype) - kept[ZERO].to(dtype)[..., None]
    return (groups * scale[..., None]).reshape(shape)


def _adopt_nibbles(kept: Kept, shape: tuple[int, ...]) -> Kept:
    from math import prod

    if 2 * kept[DATA].numel() != prod(shape) or kept[DATA].shape[0] != shape[0]:
        raise ValueError(f"{kept[DATA].numel()} bytes hold no weight of the shape {shape}")
    return {name: kept[name] for name in (DATA, SCALE, ZERO)}
