"""Copies of modules in other types; the module that they are made from stays as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from latentry_sdk.torch_copies import cast_copy, storing

if TYPE_CHECKING:
    import torch

Called = Any
"""A module, or a function in its stead."""


class LayerwiseKeeper:
    """Keeps the matrices and filters of a copy in `storage`, and casts each for the time of its call."""

    def __init__(self, module: "torch.nn.Module", storage: str) -> None:
        self._module, self._storage = module, storage
        self._copy: torch.nn.Module | None = None

    def settle(self, home: str, dtype: "torch.dtype | None") -> "torch.nn.Module":
        """A copy at `home` that computes in `dtype`, float32 for None."""
        import torch

        kind, kept = dtype or torch.float32, getattr(torch, self._storage)
        plain = [part for part in self._module.modules() if type(part) in storing()]
        narrow = kept.itemsize < kind.itemsize
        fit = {id(part.weight): kept for part in plain if narrow and fits(part.weight, kept)}
        self._copy = cast_copy(self._module, kind, home, fit)
        for part in self._copy.modules():
            if narrow and type(part) in storing() and part.weight.dtype == kept:
                part.__class__ = storing()[type(part)]
        return self._copy

    @contextmanager
    def calling(self) -> Iterator[Called]:
        """The copy."""
        yield self._copy

    def close(self) -> None:
        """Let go of the copy; may be called twice."""
        self._copy = None


class UpcastKeeper:
    """Computes in half precision until that gives no numbers, then again and from then on in float32."""

    def __init__(self, module: "torch.nn.Module", *, always: bool) -> None:
        self._module, self._always = module, always
        self._copy: torch.nn.Module | None = None
        self._home = "cpu"
        self._wide = False

    def settle(self, home: str, dtype: "torch.dtype | None") -> "torch.nn.Module":
        """A copy at `home` in `dtype`, or in float32."""
        import torch

        self._home, kind = home, dtype or torch.float32
        self._wide = self._always or kind.itemsize >= torch.float32.itemsize
        self._copy = cast_copy(self._module, torch.float32 if self._wide else kind, home)
        return self._copy.eval().requires_grad_(False)

    @contextmanager
    def calling(self) -> Iterator[Called]:
        """The copy, called again in float32 where its answer has no numbers."""
        yield self._answer

    def close(self) -> None:
        """Let go of the copy; may be called twice."""
        self._copy = None

    def _answer(self, values: "torch.Tensor") -> "torch.Tensor":
        if not self._wide:
            found = self._called(values)
            if bool(found.isfinite().all()):
                return found
            del found
            self._widen()
        return self._called(values.float())

    def _called(self, values: "torch.Tensor") -> "torch.Tensor":
        assert self._copy is not None
        found: torch.Tensor = self._copy(values)
        return found

    def _widen(self) -> None:
        """From the module's own weights, which lost no bits; stages' changes to the copy are kept."""
        assert self._copy is not None
        self._copy.float()
        exact = dict(self._module.named_parameters())
        for name, weight in self._copy.named_parameters():
            weight.data.copy_(exact[name])
        self._wide = True


def fits(weight: Any, kind: "torch.dtype") -> bool:
    """Whether no weight is beyond the largest number of the type."""
    import torch

    return weight.is_floating_point() and bool(weight.detach().abs().max() <= torch.finfo(kind).max)
