"""Blocks of one component come to the device for their own call."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

from latentry_offload.bringing import Bringer, bringer_for
from latentry_offload.settling import settled_inside
from latentry_offload.stores import InMemory, OnDisk
from latentry_offload.weights import Store, Weights
from latentry_sdk.torch_blocks import blocks, is_table

if TYPE_CHECKING:
    import torch


class BlockKeeper:
    """Keeps the weights of a module's blocks at rest; about `keep` bytes of them stay on the device."""

    def __init__(self, module: "torch.nn.Module", *, layers: bool, disk: bool, keep: int, ahead: int) -> None:
        self._module, self._layers, self._disk = module, layers, disk
        self._keep, self._ahead = keep, ahead
        self._lock, self._undo = RLock(), ExitStack()
        self._moving: list[Weights] = []
        self._bringer: Bringer | None = None
        self._order: list[int] = []
        self._known = False

    def settle(self, home: str, dtype: "torch.dtype | None") -> "torch.nn.Module":
        """Have all weights rest, and the largest that may stay brought to `home` for good."""
        self.close()
        kind = settled_inside(self._module, dtype)
        self._bringer = bringer_for(home, beside=self._ahead > 0 and not self._disk)
        store = self._store()
        cut = [(called, Weights(parts)) for called, parts in blocks(self._module, layers=self._layers)]
        for _, weights in cut:
            weights.settle(store, kind)
            self._undo.callback(weights.restore)
        tables = [is_table(called) for called, _ in cut]
        stay = staying([weights.bytes for _, weights in cut], tables, self._keep)
        for index, (called, weights) in enumerate(cut):
            if index in stay:
                weights.bring(home)
            elif tables[index]:
                self._hook(called, *looked_up(weights, home))
            else:
                self._watch(called, weights)
        return self._module

    @contextmanager
    def calling(self) -> "Iterator[torch.nn.Module]":
        """Blocks come in this call, and whatever came is gone afterwards, also where the call fails."""
        with self._lock:
            try:
                yield self._module
                self._known = True
            finally:
                for weights in self._moving:
                    weights.leave()

    def close(self) -> None:
        """Have the module be what it was; may be called twice."""
        with self._lock:
            self._moving, self._order, self._known = [], [], False
            self._undo.close()

    def _store(self) -> Store:
        if self._disk:
            store = OnDisk()
            self._undo.callback(store.close)
            return store
        return InMemory(pinned=self._bringer is not None and self._bringer.pinned)

    def _watch(self, called: "torch.nn.Module", weights: Weights) -> None:
        index = len(self._moving)
        self._moving.append(weights)
        self._hook(called, lambda *_: self._enter(index), lambda *_: weights.leave())

    def _hook(self, called: "torch.nn.Module", before: Any, after: Any) -> None:
        self._undo.callback(called.register_forward_pre_hook(before, prepend=True).remove)
        self._undo.callback(called.register_forward_hook(after, always_call=True).remove)

    def _enter(self, index: int) -> None:
        """Bring a block, then those that were called after it the last time."""
        assert self._bringer is not None
        self._bringer.bring(self._moving[index])
        if not self._known:
            self._order.append(index)
        elif index in self._order:
            place = self._order.index(index) + 1
            for coming in self._order[place : place + self._ahead]:
                self._bringer.start(self._moving[coming])


def staying(sizes: list[int], tables: list[bool], keep: int) -> set[int]:
    """The blocks that stay, by their index, as long as they fit into `keep` bytes.

    The largest first, and tables last, which need not come.
    """
    stay, left = set(), keep
    for index in sorted(range(len(sizes)), key=lambda index: (tables[index], -sizes[index])):
        if sizes[index] <= left:
            stay.add(index)
            left -= sizes[index]
    return stay


def looked_up(weights: Weights, home: str) -> tuple[Any, Any]:
    """The hooks before and after a call that is made on the host."""

    def before(_module: Any, arguments: Any) -> Any:
        weights.bring("cpu")
        return tuple(each.to("cpu") for each in arguments)

    def after(_module: Any, _arguments: Any, answer: Any) -> Any:
        weights.leave()
        return None if answer is None else answer.to(home)

    return before, after
