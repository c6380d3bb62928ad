"""Whole components take turns on a device."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING

from latentry_offload.settling import settled_inside
from latentry_offload.stores import InMemory
from latentry_offload.weights import Weights

if TYPE_CHECKING:
    import torch


@dataclass
class Turns:
    """Whose weights are on the device: those of one component at most. Its calls wait for each other."""

    lock: RLock = field(default_factory=RLock)
    _there: Weights | None = None

    def take(self, weights: Weights, home: str) -> None:
        """Bring these, and send the others back first."""
        if self._there is not weights:
            self.leave()
            self._there = weights
            weights.bring(home)

    def leave(self, weights: Weights | None = None) -> None:
        """Send back these, or whichever are there."""
        with self.lock:
            if self._there is not None and weights in (None, self._there):
                self._there.leave()
                self._there = None


class WholeKeeper:
    """Keeps all weights of a module on the host while it is not its turn."""

    def __init__(self, module: "torch.nn.Module", turns: Turns) -> None:
        self._module, self._turns = module, turns
        self._weights: Weights | None = None
        self._home = "cpu"

    def settle(self, home: str, dtype: "torch.dtype | None") -> "torch.nn.Module":
        """Have the weights rest on the host, in `dtype`."""
        self.close()
        self._home = home
        kind = settled_inside(self._module, dtype)
        self._weights = Weights(self._module.modules())
        self._weights.settle(InMemory(), kind)
        return self._module

    @contextmanager
    def calling(self) -> "Iterator[torch.nn.Module]":
        """It is the module's turn, and stays so afterwards, until another's, or the end of the stage."""
        with self._turns.lock:
            if self._weights is not None:
                self._turns.take(self._weights, self._home)
            yield self._module

    def close(self) -> None:
        """Have the module be what it was; may be called twice."""
        with self._turns.lock:
            if self._weights is not None:
                self._turns.leave(self._weights)
                self._weights.restore()
                self._weights = None
