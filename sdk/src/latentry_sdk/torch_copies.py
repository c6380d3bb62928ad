"""Torch modules in other number types, made so that the module they come from stays as it was."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from latentry.types import TensorInfo

if TYPE_CHECKING:
    import torch

STORED = "float8_e4m3fn"
"""A type to keep weights in, not to compute in: 4 bits of exponent, 3 of mantissa, arXiv:2209.05433."""

FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Torch's names of the types in safetensors files."""


def stored_dtype(tensors: Iterable[TensorInfo]) -> "torch.dtype":
    """The type that all floats among a checkpoint's tensors have; float32 where they differ.

    In it weights lose no bit and take no more of the host's memory than they must; devices cast them to the
    type that a job computes in.
    """
    import torch

    found = {info.dtype for info in tensors} & FLOATS.keys()
    stored: torch.dtype = getattr(torch, FLOATS[found.pop()] if len(found) == 1 else "float32")
    return stored


@contextmanager
def changing(module: "torch.nn.Module") -> Iterator[None]:
    """Weights that are moved or cast in here stay plain tensors, in whatever context this is called.

    Those of inference mode cannot be traced or changed out of it; a module that was made in it stays in it.
    """
    import torch

    made_so = any(weight.is_inference() for weight in module.parameters())
    with torch.inference_mode(made_so), torch.no_grad():
        yield


def narrows(module: "torch.nn.Module", dtype: "torch.dtype") -> bool:
    """Whether some weight would lose bits in `dtype`, so that no later cast could bring them back."""
    import torch

    own = {weight.dtype for weight in module.parameters() if weight.is_floating_point()}
    return any(torch.promote_types(kind, dtype) != dtype for kind in own)


def cast_copy(
    module: "torch.nn.Module",
    dtype: "torch.dtype",
    home: str = "cpu",
    others: Mapping[int, "torch.dtype"] | None = None,
) -> "torch.nn.Module":
    """A copy at `home` in `dtype` that leaves `module` as it is and never holds the weights twice there.

    `others` gives the types of weights that differ, by their `id`. Tied weights stay tied.
    """
    import torch

    types = others or {}

    def cast(tensor: torch.Tensor) -> torch.Tensor:
        kind = types.get(id(tensor), dtype if tensor.is_floating_point() else tensor.dtype)
        there = tensor.detach().to(home, kind, copy=True)
        return torch.nn.Parameter(there, False) if isinstance(tensor, torch.nn.Parameter) else there

    tensors = chain(module.parameters(), module.buffers())
    return copy.deepcopy(module, {id(tensor): cast(tensor) for tensor in tensors})


def stored_copy(module: "torch.nn.Module", dtype: "torch.dtype", home: str) -> "torch.nn.Module":
    """A copy whose layers keep their matrices and filters in 8 bits, and cast each to `dtype` when called.

    Layers with a weight beyond 448, the largest number of that type, are kept in `dtype`; so are norms,
    embeddings and biases.
    """
    import torch

    kind = getattr(torch, STORED)
    plain = [layer for layer in module.modules() if type(layer) in storing()]
    fit = {id(layer.weight): kind for layer in plain if _fits(layer.weight, kind)}
    copied = cast_copy(module, dtype, home, fit)
    for layer in copied.modules():
        if type(layer) in storing() and layer.weight.dtype == kind:
            layer.__class__ = storing()[type(layer)]
    return copied


@cache
def storing() -> "Mapping[type[torch.nn.Module], type[torch.nn.Module]]":
    """The layers with nearly all of a model's weights, and those that cast theirs to the input's type."""
    import torch

    class StoredLinear(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(x, self.weight.to(x.dtype), self.bias)

    class StoredConv2d(torch.nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            answer: torch.Tensor = self._conv_forward(x, self.weight.to(x.dtype), self.bias)
            return answer

    return {torch.nn.Linear: StoredLinear, torch.nn.Conv2d: StoredConv2d}


def _fits(weight: Any, kind: "torch.dtype") -> bool:
    import torch

    return weight.is_floating_point() and bool(weight.detach().abs().max() <= torch.finfo(kind).max)
