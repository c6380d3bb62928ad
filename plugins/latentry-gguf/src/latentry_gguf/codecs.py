"""Blocks of GGUF as what a layer keeps: their bytes, under a name that says their type."""

from functools import cache, partial
from math import prod
from typing import TYPE_CHECKING, Any

from latentry_sdk.quantizing import Codec, Kept
from latentry_sdk.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor

START = "weight."
BLOCK = 32
"""Values in a block of the types that are made here."""


def codec(scheme: str) -> Codec:
    """The codec that makes blocks of a type, and reads those of any."""
    return Codec(partial(_pack, scheme=scheme), _unpack, _adopt)


def type_of(name: str) -> Any:
    """The type called `name`, as "q4_k"; `ValueError` for one that is not known."""
    from gguf import GGMLQuantizationType

    try:
        return GGMLQuantizationType[name.upper()]
    except KeyError as exc:
        raise ValueError(f"GGUF has no type {name!a}") from exc


@cache
def readers() -> Any:
    """What turns blocks into numbers, by their type: diffusers' functions."""
    with quiet():
        from diffusers.quantizers.gguf.utils import dequantize_functions

        return dequantize_functions


def _pack(weight: "Tensor", *, scheme: str) -> Kept | None:
    import torch
    from gguf import quants

    rows = weight.flatten(1).float()
    if rows.shape[1] % BLOCK:
        return None
    return {f"{START}{scheme}": torch.from_numpy(quants.quantize(rows.numpy(), type_of(scheme)))}


def _unpack(kept: Kept, shape: tuple[int, ...], dtype: Any) -> "Tensor":
    from gguf import GGML_QUANT_SIZES

    ((name, data),) = kept.items()
    kind = type_of(name.removeprefix(START))
    values, size = GGML_QUANT_SIZES[kind]
    found: Tensor = readers()[kind](data.reshape(-1, size), values, size, dtype)
    return found.to(dtype).reshape(shape)


def _adopt(kept: Kept, shape: tuple[int, ...]) -> Kept:
    from gguf import GGML_QUANT_SIZES

    if len(kept) != 1:
        raise ValueError(f"a layer holds {len(kept)} kinds of blocks")
    ((name, data),) = kept.items()
    kind = type_of(name.removeprefix(START))
    if kind not in readers():
        raise ValueError(f"blocks of the type {kind.name} are not read")
    values, size = GGML_QUANT_SIZES[kind]
    if data.numel() * values != prod(shape) * size:
        raise ValueError(f"{data.numel()} bytes of {kind.name} hold no weight of the shape {shape}")
    return kept
