"""What NNCF makes of a weight, and the weight that this stands for: w = scale · (data - zero).

OpenVINO's converter knows these very operations, and keeps the constants as they are packed here.
"""

from math import prod
from typing import TYPE_CHECKING, Any

from latentry_sdk.hiding import hidden
from latentry_sdk.quantizing import Codec, Kept
from latentry_sdk.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor

DATA, SCALE, ZERO = "weight.data", "weight.scale", "weight.zero_point"
GROUPS = (64, 32, 16)
"""How many values of a row share a scale at 4 bits: the first that divides the row."""


def codec(scheme: str) -> Codec:
    """The codec of `int8` or `int4`, both asymmetric."""
    if scheme == "int4":
        return Codec(_pack_nibbles, _unpack_nibbles, _adopt_nibbles)
    return Codec(_pack_bytes, _unpack_bytes, _adopt_bytes)


def compressed(weight: "Tensor", mode: str, axes: tuple[int, ...]) -> "tuple[Tensor, Tensor, Tensor]":
    """Data, scale and zero point of a weight by NNCF's own arithmetic, over `axes`."""
    with quiet(), hidden("openvino_telemetry"):  # or NNCF would report to Google what it is used for
        from nncf import CompressWeightsMode
        from nncf.quantization.algorithms.weight_compression import config, weight_lowering
        from nncf.tensor import Tensor as Wrapped

    how = config.WeightCompressionConfig(mode=CompressWeightsMode(mode))
    found = weight_lowering.do_integer_quantization(Wrapped(weight), how, reduction_axes=axes)
    return found.tensor.data, found.scale.data, found.zero_point.data


def _pack_bytes(weight: "Tensor") -> Kept:
    """A scale and a zero for a row."""
    import torch

    data, scale, zero = compressed(weight, "int8_asym", tuple(range(1, weight.dim())))
    return {DATA: data.to(torch.uint8), SCALE: scale.float(), ZERO: zero.to(torch.uint8)}


def _unpack_bytes(kept: Kept, _shape: tuple[int, ...], dtype: Any) -> "Tensor":
    return (kept[DATA].to(dtype) - kept[ZERO].to(dtype)) * kept[SCALE].to(dtype)


def _adopt_bytes(kept: Kept, shape: tuple[int, ...]) -> Kept:
    if tuple(kept[DATA].shape) != shape:
        raise ValueError(f"a weight has the shape {tuple(kept[DATA].shape)} instead of {shape}")
    return {name: kept[name] for name in (DATA, SCALE, ZERO)}


def _pack_nibbles(weight: "Tensor") -> Kept | None:
    """A scale and a zero for a group of a row; the first value of a byte is in its lower half."""
    import torch

    rows = weight.flatten(1)
    group = next((size for size in GROUPS if rows.shape[1] % size == 0), None)
    if group is None:
        return None
    data, scale, zero = compressed(rows.reshape(len(rows), -1, group), "int4_asym", (2,))
    both = data.to(torch.uint8)
    return {DATA: both[..., ::2] | both[..., 1::2] << 4, SCALE: scale.float(), ZERO: zero.to(torch.uint8)}


def _unpack_nibbles(kept: Kept, shape: tuple[int, ...], dtype: Any) -> "Tensor":
    import torch

    data, (rows, groups, _) = kept[DATA], kept[SCALE].shape
    both = torch.stack((torch.bitwise_and(data, 15), torch.bitwise_right_shift(data, 4)), dim=-1)
    values = both.reshape(rows, groups, -1).to(dtype) - kept[ZERO].to(dtype)
    return (values * kept[SCALE].to(dtype)).reshape(shape)


def _adopt_nibbles(kept: Kept, shape: tuple[int, ...]) -> Kept:
    if 2 * kept[DATA].numel() != prod(shape) or kept[DATA].shape[0] != shape[0]:
        raise ValueError(f"{kept[DATA].numel()} bytes hold no weight of the shape {shape}")
    return {name: kept[name] for name in (DATA, SCALE, ZERO)}
