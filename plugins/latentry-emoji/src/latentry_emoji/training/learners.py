"""Find the loss of a batch and its gradient: on cores of the processor, or as one graph on a CUDA card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from latentry_emoji.training.noising import Batch

Gradients = tuple[torch.Tensor, ...]
Learn = Callable[[Batch], tuple[torch.Tensor, Gradients]]
"""The mean loss of a batch, and its gradient by each weight."""

WARM_UP = 3


class Cores:
    """Learns from `parts` of a batch one by one on free cores, of which there are `count`."""

    def __init__(self, learn: Learn, parts: int, count: int) -> None:
        self._learn, self._parts = learn, parts
        self._pool = ThreadPoolExecutor(count)

    def __call__(self, batch: Batch) -> tuple[torch.Tensor, Gradients]:
        """The means over the parts; their number, not that of the cores, decides in what order is summed."""
        losses, gradients = zip(*self._pool.map(self._learn, batch.parts(self._parts)), strict=True)
        return torch.stack(losses).mean(), mean_of(gradients)


class Graph:
    """Captures the kernels of the first batch in a CUDA graph, and replays them for every batch.

    Kernels of a small model are done sooner than the next one is started one by one. The tensors that are
    returned are the graph's own: the next batch writes over them.
    """

    def __init__(self, learn: Learn) -> None:
        self._learn = learn
        self._graph = torch.cuda.CUDAGraph()
        self._held: Batch | None = None

    def __call__(self, batch: Batch) -> tuple[torch.Tensor, Gradients]:
        """What `learn` returns; every batch has the shapes of the first one."""
        if self._held is None:
            self._held = batch
            self._answer = self._captured(batch)
        for held, new in zip(vars(self._held).values(), vars(batch).values(), strict=True):
            held.copy_(new)
        self._graph.replay()
        return self._answer

    def _captured(self, batch: Batch) -> tuple[torch.Tensor, Gradients]:
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                self._learn(batch)
        torch.cuda.current_stream().wait_stream(beside)
        with torch.cuda.graph(self._graph):
            return self._learn(batch)


def mean_of(gradients: Sequence[Gradients]) -> Gradients:
    """The mean of several gradients, put together in place of the first."""
    total, *others = gradients
    for other in others:
        torch._foreach_add_(total, other)
    torch._foreach_div_(total, len(gradients))
    return total
