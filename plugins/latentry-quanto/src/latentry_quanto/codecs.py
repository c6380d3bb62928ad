"""What quanto keeps of a weight, under the names of its own layers, and the weight that this stands for."""

from functools import partial
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING, Any

from latentry_sdk.quantizing import Codec, Kept
from latentry_sdk.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor

DATA, SCALE, SHIFT = "weight._data", "weight._scale", "weight._shift"
NIBBLES = "weight._data._data"
GROUP = 128


def codec(scheme: str) -> Codec:
    """The codec of `int8`, `int4` or `float8`."""
    if scheme == "int4":
        return Codec(_pack_nibbles, _unpack_nibbles, _adopt_nibbles)
    return Codec(partial(_pack_bytes, scheme=scheme), partial(_unpack_bytes, scheme=scheme), _adopt_bytes)


def load_quanto() -> ModuleType:
    """The library, whose import warns of other libraries."""
    with quiet():
        from optimum import quanto

        return quanto  # type: ignore[no-any-return]


def _pack_bytes(weight: "Tensor", scheme: str) -> Kept:
    """One scale a row: w = scale · data."""
    import torch

    quanto = load_quanto()
    kind = {"int8": quanto.qint8, "float8": quanto.qfloat8}[scheme]
    scale = quanto.AbsmaxOptimizer()(weight, kind, 0)
    found = quanto.quantize_weight(weight, kind, 0, scale, optimized=False)
    return {DATA: found._data.view(torch.int8), SCALE: found._scale}


def _unpack_bytes(kept: Kept, _shape: tuple[int, ...], dtype: Any, *, scheme: str) -> "Tensor":
    import torch

    data = kept[DATA] if scheme == "int8" else kept[DATA].view(torch.float8_e4m3fn)
    return data.to(dtype) * kept[SCALE].to(dtype)


def _adopt_bytes(kept: Kept, shape: tuple[int, ...]) -> Kept:
    import torch

    if tuple(kept[DATA].shape) != shape:
        raise ValueError(f"a weight has the shape {tuple(kept[DATA].shape)} instead of {shape}")
    return {DATA: kept[DATA].view(torch.int8), SCALE: kept[SCALE]}


def _pack_nibbles(weight: "Tensor") -> Kept:
    """A scale and a shift for up to 128 values of a row: w = scale · data - shift."""
    quanto = load_quanto()
    size = group_size(weight[0].numel())
    scale, shift = quanto.MaxOptimizer()(weight, quanto.qint4, 0, size)
    found = quanto.quantize_weight(weight, quanto.qint4, 0, scale, shift, size, optimized=False)
    return {NIBBLES: found._data._data, SCALE: found._scale, SHIFT: found._shift}


def _unpack_nibbles(kept: Kept, shape: tuple[int, ...], dtype: Any) -> "Tensor":
    """The first half of the rows is in the lower halves of the bytes, the second in the upper ones."""
    import torch

    both, scale = kept[NIBBLES], kept[SCALE].to(dtype)
    data = torch.cat([both & 15, both >> 4])[: scale.shape[0]]
    return (data.to(dtype) * scale - kept[SHIFT].to(dtype)).reshape(shape)


def _adopt_nibbles(kept: Kept, shape: tuple[int, ...]) -> Kept:
    found = {name: kept[name] for name in (NIBBLES, SCALE, SHIFT)}
    if not 0 <= 2 * found[NIBBLES].numel() - prod(shape) <= found[NIBBLES][0].numel():
        raise ValueError(f"{found[NIBBLES].numel()} bytes hold no weight of the shape {shape}")
    return found


def group_size(values: int) -> int | None:
    """How many of a row's `values` share a scale, as in quanto's own layers; None for the whole row."""
    fitting = (size for size in range(GROUP, 31, -32) if values > GROUP and values % size == 0)
    return next(fitting, None)
