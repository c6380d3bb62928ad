"""Keep a slow-moving average of a model's weights, which draws better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Average:
    """The exponential moving average of the parameters of some modules, faster while training is young."""

    def __init__(self, modules: tuple[nn.Module, ...], decay: float) -> None:
        self._weights = [weight for module in modules for weight in module.parameters()]
        self._means = [weight.detach().clone() for weight in self._weights]
        self._decay = decay

    def update(self, index: int) -> None:
        """Move towards the weights after step `index`."""
        decay = min(self._decay, (1 + index) / (10 + index))
        torch._foreach_lerp_(self._means, [weight.detach() for weight in self._weights], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the modules hold the average inside the block, and their own weights again after it."""
        own = [weight.detach().clone() for weight in self._weights]
        self._copy(self._means)
        try:
            yield
        finally:
            self._copy(own)

    def adopt(self) -> None:
        """Let the modules hold the average from now on."""
        self._copy(self._means)

    def state(self) -> list[torch.Tensor]:
        """The averages, in the order of the parameters."""
        return self._means

    def restore(self, state: list[torch.Tensor]) -> None:
        """Take over what `state` returned."""
        for mean, saved in zip(self._means, state, strict=True):
            mean.copy_(saved)

    @torch.no_grad()
    def _copy(self, sources: list[torch.Tensor]) -> None:
        for weight, source in zip(self._weights, sources, strict=True):
            weight.copy_(source)
