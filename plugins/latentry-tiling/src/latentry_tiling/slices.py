"""One picture of a batch at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


class Sliced:
    """A module's own forward, for each row alone; the module is not kept alive by this.

    `inner` is what was called in its stead before, if anything.
    """

    def __init__(self, module: "Module", inner: Callable[..., Any] | None) -> None:
        self._module, self._inner = ref(module), inner

    def __deepcopy__(self, memo: dict[int, Any]) -> "Sliced":
        """The same for a copy of the module."""
        from copy import deepcopy

        module: Any = self._module()
        return Sliced(deepcopy(module, memo), deepcopy(self._inner, memo))

    def __call__(self, batch: "Tensor") -> "Tensor":
        """The rows' results, in their order."""
        import torch

        module: Any = self._module()
        inner: Any = self._inner or type(module).forward.__get__(module)
        return torch.cat([inner(row) for row in torch.split(batch, 1)])
