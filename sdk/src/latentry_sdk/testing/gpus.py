"""A stand-in for `torch.cuda` on machines without a GPU: it computes on the CPU and notes what it is asked.

Its graphs are real ones: they keep the operations of a call and do them again, on the same arrays.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


class FakeStream:
    """Notes whom it waits for."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self._notes = name, notes

    def wait_stream(self, other: "FakeStream") -> None:
        """Note it."""
        self._notes.append(f"{self.name} waits for {other.name}")


@dataclass
class Recorded:
    """What became of one graph."""

    pool: object = None
    replays: int = 0


@dataclass
class FakeGraph:
    """The operations of one call."""

    recorded: Recorded
    operations: list[tuple[Any, Any, Any, Any]] = field(default_factory=list)

    def replay(self) -> None:
        """Do all again, and write each result over the former one."""
        import torch

        self.recorded.replays += 1
        with torch.inference_mode():
            for operation, arguments, named, former in self.operations:
                _write_over(former, operation(*arguments, **named))


class FakeGpu:
    """What `torch.cuda` has, for `count` GPUs of `total` bytes, of which `free` are free."""

    def __init__(self, *, count: int = 1, capability: tuple[int, int] = (9, 0), total: int = 8 << 30) -> None:
        self.count, self.capability, self.total, self.free = count, capability, total, total // 2
        self.reserved, self.allocated = 0, 0
        self.notes: list[str] = []
        self.graphs: list[Recorded] = []
        self._default, self._recording = FakeStream("default", self.notes), False
        self._threads = threading.local()

    def stand_in(self, module: Any, patch: Any) -> None:
        """Take the place of what it has in `module`, `torch.cuda` say, as long as pytest's `patch` lasts."""
        for name in (name for name in dir(type(self)) if name != "stand_in" and not name.startswith("_")):
            patch.setattr(module, name, getattr(self, name), raising=False)

    def is_available(self) -> bool:
        """Whether there is any."""
        return self.count > 0

    def device_count(self) -> int:
        """How many there are."""
        return self.count

    def get_device_capability(self, _index: int) -> tuple[int, int]:
        """Its generation."""
        return self.capability

    def mem_get_info(self, _index: int) -> tuple[int, int]:
        """Free and total bytes."""
        return self.free, self.total

    def memory_reserved(self, _index: int) -> int:
        """Bytes that torch keeps."""
        return self.reserved

    def memory_allocated(self, _index: int) -> int:
        """Bytes that torch uses."""
        return self.allocated

    def empty_cache(self) -> None:
        """Note it."""
        self.notes.append("emptied")

    @contextmanager
    def device(self, index: int) -> Iterator[None]:
        """Note it."""
        self.notes.append(f"on {index}")
        yield
        self.notes.append(f"off {index}")

    def Stream(self, device: int) -> FakeStream:  # noqa: N802
        """A stream named after its device."""
        return FakeStream(f"stream {device}", self.notes)

    def current_stream(self) -> FakeStream:
        """The stream in use."""
        return getattr(self._threads, "stream", self._default)

    @contextmanager
    def stream(self, stream: FakeStream) -> Iterator[None]:
        """Use a stream."""
        former, self._threads.stream = self.current_stream(), stream
        yield
        self._threads.stream = former

    def graph_pool_handle(self) -> object:
        """A name for memory that graphs share."""
        return object()

    def CUDAGraph(self) -> FakeGraph:  # noqa: N802
        """An empty graph."""
        self.graphs.append(Recorded())
        return FakeGraph(self.graphs[-1])

    @contextmanager
    def graph(
        self, graph: FakeGraph, *, pool: object, stream: FakeStream, capture_error_mode: str
    ) -> Iterator[None]:
        """Keep the operations of what runs in here."""
        self.notes.append(f"recorded on {stream.name}, {capture_error_mode}")
        graph.recorded.pool, self._recording = pool, True
        try:
            with _noting(graph.operations):
                yield
        finally:
            self._recording = False

    def is_current_stream_capturing(self) -> bool:
        """Whether a graph is being recorded."""
        return self._recording


def _noting(operations: list[tuple[Any, Any, Any, Any]]) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Noting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
            answer = func(*args, **(kwargs or {}))
            operations.append((func, args, kwargs or {}, answer))
            return answer

    return Noting()  # type: ignore[no-untyped-call]


def _write_over(former: Any, answer: Any) -> None:
    if isinstance(former, tuple | list):
        for one, other in zip(former, answer, strict=True):
            _write_over(one, other)
    elif hasattr(former, "copy_") and former.data_ptr() != answer.data_ptr():
        former.copy_(answer)
