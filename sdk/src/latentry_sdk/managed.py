"""Torch modules whose weights an optimizer moves or keeps in its own way, and a device only calls."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


class Keeper(Protocol):
    """Where the weights of a module are, and when."""

    def settle(self, home: str, dtype: "torch.dtype | None") -> "torch.nn.Module":
        """The module to be called from now on: at `home`, as "cuda:0", in `dtype`.

        None leaves each weight in its own type.
        """

    def calling(self) -> AbstractContextManager[Any]:
        """The context of one call, which gives what is called."""


@runtime_checkable
class Settling(Protocol):
    """A managed component's module that wants to know where its device calls it.

    A device that leaves the weights of such a component where they are calls `settle` in `place`.
    """

    def settle(self, home: str, dtype: "torch.dtype | None") -> None:
        """Calls will be made at `home`, with floating arguments of `dtype`."""


def managed_module(module: "torch.nn.Module", keeper: Keeper) -> "torch.nn.Module":
    """A module that calls `module` as its `keeper` has it.

    Where a device does not settle it, the first call does: to where its first argument is, and to the type of
    its first floating one.
    """
    import torch

    class Managed(torch.nn.Module):
        """Calls a module whose weights are moved."""

        def __init__(self) -> None:
            super().__init__()
            self.managed, self.keeper = module, keeper
            self._settled = False

        def settle(self, home: str, dtype: torch.dtype | None) -> None:
            self.managed = keeper.settle(home, dtype)
            self._settled = True

        def forward(self, *arrays: torch.Tensor) -> Any:
            if not self._settled:
                floating = (array.dtype for array in arrays if array.is_floating_point())
                self.settle(str(arrays[0].device), next(floating, None))
            with keeper.calling() as found:
                return found(*arrays)

    return Managed()
