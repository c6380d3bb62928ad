"""GPUs that torch reaches in one way: CUDA's and ROCm's by `torch.cuda`, Intel's by `torch.xpu`."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from latentry.request import Count, Options
from latentry.types import Component, Memory
from latentry_sdk.torch_device import TorchPlace
from latentry_sdk.torch_graphs import GraphCalls, Jobs, recorder

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import torch

log = logging.getLogger(__name__)

Attention = Literal["auto", "flash", "efficient", "cudnn", "math"]
KERNELS = {"flash": "FLASH_ATTENTION", "efficient": "EFFICIENT_ATTENTION", "cudnn": "CUDNN_ATTENTION",
           "math": "MATH"}  # fmt: skip


class GpuOptions(Options):
    """How a GPU is used."""

    stream: bool = Field(True, description="A stream of its own for each device")
    channels_last: bool = Field(False, description="Keep convolutions in channels-last order")


class GraphOptions(GpuOptions):
    """How a GPU is used whose calls can be recorded and whose attention can be chosen."""

    graphs: Count = Field(
        0, ge=0, le=64, description="Recorded calls kept for one component, one for each shape; 0: none"
    )
    attention: Attention = Field(
        "auto", description="The kernel of attention; one that cannot do it is an error"
    )


Mode = Callable[[], "AbstractContextManager[Any]"]


class Outermost:
    """A context of the whole process that several threads are in: the first begins it, the last ends it."""

    def __init__(self, make: Mode) -> None:
        self._make, self._lock, self._inside = make, Lock(), 0
        self._stack = ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Be in it."""
        with self._lock:
            if not self._inside:
                self._stack.enter_context(self._make())
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._stack.close()


class Gpu:
    """One GPU for torch: `api` is `torch.cuda` or `torch.xpu`, `home` torch's name of it, as "cuda:1"."""

    def __init__(self, api: Any, *, name: str, home: str, index: int, options: GpuOptions) -> None:
        self._api, self._name, self._home, self._index = api, name, home, index
        self._options, self._jobs = options, Jobs()
        self._stream = api.Stream(device=index) if options.stream else None

    def place(self, dtypes: tuple[str, ...], *modes: Mode) -> TorchPlace:
        """What sets it apart: it computes in `dtypes`, and jobs run inside all `modes`."""
        return TorchPlace(
            name=self._name,
            home=self._home,
            dtypes=dtypes,
            memory=self.memory,
            wide="bfloat16" if "bfloat16" in dtypes else "float16",
            empty=self.empty,
            context=partial(self._thread, Outermost(partial(self._job, modes))),
            channels_last=self._options.channels_last,
            calling=self.calling,
        )

    def memory(self) -> Memory:
        """What the driver has left, and what torch keeps but does not use."""
        free, total = self._api.mem_get_info(self._index)
        idle = self._api.memory_reserved(self._index) - self._api.memory_allocated(self._index)
        return Memory(total=int(total), free=min(int(free + idle), int(total)))

    def empty(self) -> None:
        """Give back what torch keeps but does not use."""
        with self._api.device(self._index):
            self._api.empty_cache()

    def calling(self, module: "torch.nn.Module", component: Component) -> GraphCalls | None:
        """Calls by graphs where the options say so; weights that an optimizer moves have none."""
        most, name = getattr(self._options, "graphs", 0), f"{component.name} on {self._name}"
        if most and component.managed:
            log.warning("%s runs without graphs: an optimizer moves its weights", name)
        if not most or component.managed:
            return None
        record = recorder(self._api, self._index)
        return GraphCalls(module, record, name=name, most=most, jobs=self._jobs)

    @contextmanager
    def _job(self, modes: tuple[Mode, ...]) -> Iterator[None]:
        """What holds for the process while a job runs."""
        self._jobs.begun += 1
        with ExitStack() as stack:
            for mode in modes:
                stack.enter_context(mode())
            yield

    @contextmanager
    def _thread(self, job: Outermost) -> Iterator[None]:
        """This GPU is the thread's current one, with a stream that begins and ends within the former."""
        with job(), self._api.device(self._index), ExitStack() as stack:
            if self._stream is not None:
                former = self._api.current_stream()
                self._stream.wait_stream(former)
                stack.callback(former.wait_stream, self._stream)
                stack.enter_context(self._api.stream(self._stream))
            yield


def attention_mode(kernel: str) -> Mode:
    """The context in which torch's attention uses this kernel and no other; "auto" leaves torch's choice."""

    def mode() -> "AbstractContextManager[Any]":
        from torch.nn.attention import SDPBackend, sdpa_kernel

        context: AbstractContextManager[Any] = sdpa_kernel(getattr(SDPBackend, KERNELS[kernel]))
        return context

    return nullcontext if kernel == "auto" else mode
