"""The weights of one block: at rest somewhere, and at home while the block is called."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch


class Resting(Protocol):
    """Tensors at rest."""

    @property
    def stand_ins(self) -> "Sequence[torch.Tensor]":
        """What the module holds while they rest."""

    def fetch(self, home: str, *, beside: bool) -> "list[torch.Tensor]":
        """Copies of them at `home`; `beside` says that the copying need not be over when this returns."""

    def originals(self) -> "Sequence[torch.Tensor]":
        """What the module held at first, to the bit."""


class Store(Protocol):
    """Where tensors rest."""

    def rest(self, tensors: "Sequence[torch.Tensor]", dtype: "torch.dtype | None") -> Resting:
        """Have them rest, floating ones in `dtype`."""


class Weights:
    """Parameters and buffers of some modules, each tensor once, and where the modules hold them."""

    def __init__(self, modules: "Iterable[torch.nn.Module]") -> None:
        found: dict[int, int] = {}
        self._tensors: list[torch.Tensor] | None = []
        self._slots: list[tuple[dict[str, Any], str, int]] = []
        for held, name, tensor in held_in(modules):
            if id(tensor) not in found:
                found[id(tensor)] = len(found)
                self._tensors.append(tensor)
            self._slots.append((held, name, found[id(tensor)]))
        self._resting: Resting | None = None
        self.here: Sequence[torch.Tensor] = ()

    @property
    def bytes(self) -> int:
        """What they take at home."""
        tensors = self._tensors if self._resting is None else self._resting.stand_ins
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors or ())

    def settle(self, store: Store, dtype: "torch.dtype | None") -> None:
        """Bring them to rest."""
        self._resting = store.rest(self._tensors or (), dtype)
        self._tensors = None
        self.leave()

    def bring(self, home: str, *, beside: bool = False) -> None:
        """Bring them home, if they are not there."""
        if not self.here and self._resting is not None:
            self.here = self._resting.fetch(home, beside=beside)
            self._put(self.here)

    def leave(self) -> None:
        """Put those at rest back into their places."""
        if self._resting is not None:
            self._put(self._resting.stand_ins)
        self.here = ()

    def restore(self) -> None:
        """Put back what there was before."""
        if self._resting is not None:
            self._tensors, self._resting = [*self._resting.originals()], None
            self._put(self._tensors)
        self.here = ()

    def _put(self, tensors: "Sequence[torch.Tensor]") -> None:
        for held, name, index in self._slots:
            held[name] = tensors[index]


def held_in(modules: "Iterable[torch.nn.Module]") -> "Iterator[tuple[dict[str, Any], str, torch.Tensor]]":
    """Every parameter and buffer that the modules themselves hold: in which mapping, by which name."""
    for module in modules:
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    yield held, name, tensor


def like(original: "torch.Tensor", tensor: "torch.Tensor") -> "torch.Tensor":
    """The tensor as a parameter, if the original is one."""
    from torch.nn import Parameter

    if isinstance(tensor, Parameter) or not isinstance(original, Parameter):
        return tensor
    return Parameter(tensor, requires_grad=False)


def cast(tensor: "torch.Tensor", dtype: "torch.dtype | None") -> "torch.Tensor":
    """The tensor in `dtype`, if it is a plain one of numbers to compute with; quantized ones keep theirs."""
    import torch

    wide = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
    return tensor.to(dtype) if dtype and plain and tensor.dtype in wide else tensor
