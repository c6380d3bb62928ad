"""What bitsandbytes keeps of a weight, under the names of its own layers, and the weight this stands for."""

import sys
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from latentry_sdk.quantizing import Codec, Kept
from latentry_sdk.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor

DATA, ABSMAX, MAP, ROWS = "weight", "weight.absmax", "weight.quant_map", "SCB"
STATE = "weight.quant_state.bitsandbytes__"
BLOCK = 64
"""Values that share a scale at 4 bits."""


def codec(scheme: str) -> Codec:
    """The codec of `nf4` (arXiv:2305.14314), `fp4` or `int8` (arXiv:2208.07339)."""
    if scheme == "int8":
        return Codec(_pack_rows, _unpack_rows, _adopt_rows)
    return Codec(
        partial(_pack_blocks, scheme=scheme),
        partial(_unpack_blocks, scheme=scheme),
        partial(_adopt_blocks, scheme=scheme),
    )


def load_functions() -> Any:
    """The functions of bitsandbytes. While this imports it, it finds no `kernels`, by which it would fetch
    compiled code from the hub."""
    modules: dict[str, Any] = sys.modules
    hidden = {} if "bitsandbytes" in modules else {"kernels": modules.get("kernels")}
    modules.update(dict.fromkeys(hidden))
    try:
        with quiet():
            from bitsandbytes import functional

            return functional
    finally:
        for name, module in hidden.items():
            modules.pop(name)
            modules.update({name: module} if module else {})


def _pack_blocks(weight: "Tensor", *, scheme: str) -> Kept:
    """A scale for 64 values: w = absmax · map[data]."""
    data, state = load_functions().quantize_4bit(weight, quant_type=scheme, blocksize=BLOCK)
    return {DATA: data, **_described(state)}


def _unpack_blocks(kept: Kept, shape: tuple[int, ...], dtype: Any, *, scheme: str) -> "Tensor":
    """As one row of an even length: for others bitsandbytes compiles code anew for each shape."""
    import torch

    functions, absmax, values = load_functions(), kept[ABSMAX].float(), prod(shape)
    state = functions.QuantState(
        absmax=absmax,
        shape=torch.Size((1, values + values % 2)),
        code=kept[MAP].float(),
        blocksize=_block_of(values, absmax.numel()),
        quant_type=scheme,
        dtype=dtype,
    )
    found: Tensor = functions.dequantize_4bit(kept[DATA].reshape(1, -1), state)
    return found.flatten()[:values].reshape(shape)


def _adopt_blocks(kept: Kept, shape: tuple[int, ...], *, scheme: str) -> Kept:
    """What bitsandbytes stores; scales that are stored in 8 bits are kept in 32."""
    functions = load_functions()
    if 2 * kept[DATA].numel() != prod(shape) + prod(shape) % 2 or f"{STATE}{scheme}" not in kept:
        raise ValueError(f"{kept[DATA].numel()} bytes hold no {scheme} weight of the shape {shape}")
    described = {name: tensor for name, tensor in kept.items() if name.startswith(f"{DATA}.")}
    state = functions.QuantState.from_dict(described, device=kept[DATA].device)
    if state.nested:
        state.absmax = functions.dequantize_blockwise(state.absmax, state.state2) + state.offset
        state.offset, state.state2, state.nested = None, None, False
    return {DATA: kept[DATA], **_described(state)}


def _described(state: Any) -> dict[str, "Tensor"]:
    return {f"{DATA}.{name}": tensor for name, tensor in state.as_dict(packed=True).items()}


def _block_of(values: int, scales: int) -> int:
    """The power of two that cuts so many values into so many blocks, the last of which may be short."""
    return 1 << (-(-values // scales) - 1).bit_length()


def _pack_rows(weight: "Tensor") -> Kept:
    """One scale a row: w = scale · data / 127."""
    import torch

    data, scales, _ = load_functions().int8_vectorwise_quant(weight.flatten(1))
    return {
        DATA: data.reshape(weight.shape),
        ROWS: scales,
        "weight_format": torch.tensor(0, dtype=torch.uint8),
    }


def _unpack_rows(kept: Kept, shape: tuple[int, ...], dtype: Any) -> "Tensor":
    scales = kept[ROWS].to(dtype) / 127
    return kept[DATA].to(dtype) * scales.reshape(-1, *[1] * (len(shape) - 1))


def _adopt_rows(kept: Kept, shape: tuple[int, ...]) -> Kept:
    if tuple(kept[DATA].shape) != shape or int(kept["weight_format"]) != 0:
        raise ValueError(f"it holds no weight of the shape {shape} in rows")
    return {name: kept[name] for name in (DATA, ROWS, "weight_format")}
