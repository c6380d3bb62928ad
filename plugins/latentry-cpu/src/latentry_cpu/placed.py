"""A torch module on the processor, called as its component is."""

import copy
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from latentry_sdk import PluginError

if TYPE_CHECKING:
    import torch


class CpuModule:
    """A module that takes arrays from anywhere and gives them back to where the first one was."""

    home = "cpu"

    def __init__(self, module: "torch.nn.Module", dtype: "torch.dtype") -> None:
        self._module: torch.nn.Module | None = module
        self._dtype = dtype

    @property
    def dtype(self) -> str:
        """The type it computes in."""
        return str(self._dtype).removeprefix("torch.")

    @property
    def module(self) -> "torch.nn.Module":
        """What is called, for stages that change it and undo that."""
        if self._module is None:
            raise PluginError("a closed component was called")
        return self._module

    def __call__(self, *arrays: Any) -> Any:
        """The module's answer, in the floating type of the first floating argument."""
        return handed_back(self.module(*self._taken(arrays)), arrays)

    def close(self) -> None:
        """Let go of the module; may be called twice."""
        self._module = None

    def _taken(self, arrays: Sequence[Any]) -> list[Any]:
        """The arguments here and in this type; later vectors keep theirs: bfloat16 would round timesteps."""
        first, *others = (array.to("cpu") for array in arrays)
        cast = [first, *(array for array in others if array.dim() > 1)]
        ids = {id(array) for array in cast if array.is_floating_point()}
        return [array.to(self._dtype) if id(array) in ids else array for array in (first, *others)]


def handed_back(answer: Any, arrays: Sequence[Any]) -> Any:
    """A tensor or tuple of tensors, moved to the first argument's device and floating type."""
    if isinstance(answer, tuple):
        return tuple(handed_back(part, arrays) for part in answer)
    floating = next((array.dtype for array in arrays if array.is_floating_point()), answer.dtype)
    return answer.to(arrays[0].device, floating if answer.is_floating_point() else answer.dtype)


def cast_copy(module: "torch.nn.Module", dtype: "torch.dtype") -> "torch.nn.Module":
    """A copy in `dtype` that leaves `module` as it is and never holds the weights twice in its own type."""
    import torch

    def cast(tensor: torch.Tensor) -> torch.Tensor:
        here = tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
        return torch.nn.Parameter(here, False) if isinstance(tensor, torch.nn.Parameter) else here

    tensors = chain(module.parameters(), module.buffers())
    return copy.deepcopy(module, {id(tensor): cast(tensor) for tensor in tensors})
