"""A torch module on a device, called as its component is."""

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from latentry.errors import PluginError
from latentry_sdk.memory import memory_of

if TYPE_CHECKING:
    import torch


class Caller(Protocol):
    """What is called in a module's stead."""

    def __call__(self, *arrays: Any) -> Any:
        """The module's answer to arrays that are at home."""

    def given_away(self) -> None:
        """A stage takes the module itself, and may change it until its job ends."""


class TorchModule:
    """A module that takes arrays from anywhere and gives them back to where the first one was.

    `device` is its device's name for messages, `home` torch's name of the place, `dtype` the type of the
    arrays it is called with and `stored` the name of the type of its weights. `call` calls the module.
    A `borrowed` module goes back to the CPU on closing, if anyone still has it. `doubles` says that the
    place has float64.
    """

    def __init__(
        self,
        module: "torch.nn.Module",
        *,
        device: str,
        home: str,
        dtype: "torch.dtype",
        stored: str = "",
        call: Caller | None = None,
        borrowed: bool = False,
        doubles: bool = True,
    ) -> None:
        self.home = home
        self._device = device
        self._module: torch.nn.Module | None = module
        self._dtype = dtype
        self._stored = stored
        self._call = call
        self._borrowed = borrowed
        self._doubles = doubles

    @property
    def dtype(self) -> str:
        """The type it computes in, or keeps its weights in if that is narrower."""
        return self._stored or str(self._dtype).removeprefix("torch.")

    @property
    def direct(self) -> bool:
        """Whether the module itself is called, and nothing in its stead."""
        return self._call is None

    @property
    def module(self) -> "torch.nn.Module":
        """What is called, for stages that change it and undo that."""
        if self._module is None:
            raise PluginError("a closed component was called")
        if self._call:
            self._call.given_away()
        return self._module

    def __call__(self, *arrays: Any) -> Any:
        """The module's answer, in the floating type of the first floating argument.

        Raises `OutOfMemory` where the device has too little for it.
        """
        with memory_of(self._device):
            taken = taken_in(arrays, self.home, self._dtype, doubles=self._doubles)
            return handed_back((self._call or self.module)(*taken), arrays)

    def close(self) -> None:
        """Let go of the module; may be called twice."""
        left = weakref.ref(self._module) if self._module is not None and self._borrowed else None
        self._module = self._call = None
        if left and (module := left()) is not None:
            module.to("cpu")


def taken_in(arrays: Sequence[Any], home: str, dtype: "torch.dtype", *, doubles: bool = True) -> list[Any]:
    """The arguments at `home` and in `dtype`; later vectors keep theirs: bfloat16 would round timesteps.

    Where there are no `doubles`, vectors of float64 become float32. Types change before places do, since not
    every place has every type.
    """
    import torch

    def cast(array: Any, index: int) -> Any:
        if not array.is_floating_point():
            return array
        if index == 0 or array.dim() > 1:
            return array.to(dtype)
        return array.float() if array.dtype == torch.float64 and not doubles else array

    return [cast(array, index).to(home) for index, array in enumerate(arrays)]


def handed_back(answer: Any, arrays: Sequence[Any]) -> Any:
    """A tensor or tuple of tensors, moved to the first argument's device, then in its floating type."""
    if isinstance(answer, tuple):
        return tuple(handed_back(part, arrays) for part in answer)
    floating = next((array.dtype for array in arrays if array.is_floating_point()), answer.dtype)
    return answer.to(arrays[0].device).to(floating if answer.is_floating_point() else answer.dtype)
