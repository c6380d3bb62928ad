"""Call a module by graphs of its kernels, recorded once for each set of shapes."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from latentry_sdk.memory import says_memory

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
COLLECTING = "transformers.utils.output_capturing"


@dataclass
class Jobs:
    """Counts the jobs that a device has begun."""

    begun: int = 0


@dataclass(frozen=True)
class Recording:
    """A recorded call: `replay()` reads `inputs`, where they lie, and writes `answer`, where it lies."""

    inputs: tuple["torch.Tensor", ...]
    answer: Any
    replay: Callable[[], None]

    def __call__(self, *arrays: "torch.Tensor") -> Any:
        """The answer to other numbers of the same shapes, copied, since the next call writes over it."""
        for own, given in zip(self.inputs, arrays, strict=True):
            own.copy_(given)
        self.replay()
        return copied(self.answer)


Record = Callable[["torch.nn.Module", Sequence["torch.Tensor"]], Recording]


class GraphCalls:
    """Calls `module` by up to `most` recordings, the last used kept.

    It calls the module itself, and logs why, where its calls cannot be recorded, and until the end of a job
    in which a stage takes the module to change it: a recording would not see the change.
    """

    def __init__(
        self, module: "torch.nn.Module", record: Record, *, name: str, most: int, jobs: Jobs
    ) -> None:
        self._module, self._record = module, record
        self._name, self._most, self._jobs = name, most, jobs
        self._kept: OrderedDict[Hashable, Recording | None] = OrderedDict()
        self._changed_in, self._lock = -1, Lock()

    def __call__(self, *arrays: "torch.Tensor") -> Any:
        """The module's answer."""
        if self._changed_in == self._jobs.begun:
            return self._module(*arrays)
        with self._lock:  # a recording has one place for its arguments
            return (self._recording(arrays) or self._module)(*arrays)

    def given_away(self) -> None:
        """Record and replay nothing until the next job."""
        if self._changed_in != self._jobs.begun:
            log.info("%s runs without graphs in this job: a stage may change it", self._name)
        self._changed_in = self._jobs.begun

    def _recording(self, arrays: Sequence["torch.Tensor"]) -> Recording | None:
        key = tuple((array.shape, array.dtype) for array in arrays)
        if key not in self._kept:
            self._kept[key] = self._recorded(arrays)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _recorded(self, arrays: Sequence["torch.Tensor"]) -> Recording | None:
        why = unrecordable(self._module)
        try:
            if not why:
                return self._record(self._module, arrays)
        except RuntimeError as exc:
            if says_memory(exc):
                raise
            why = " ".join(str(exc).split())[:200]
        log.warning("%s runs without graphs: %s", self._name, why)
        return None


def unrecordable(module: "torch.nn.Module") -> str:
    """Why a recording might differ from later calls; nothing if it would not.

    Hooks and replaced methods do work in Python that a recording leaves out. Those that transformers leaves
    on a model's layers only bring hidden states into the model's own answer, which a recording has.
    """
    for part in module.modules():
        hooks = (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
        if "forward" in vars(part) or any(hook.__module__ != COLLECTING for hook in hooks):
            return f"a technique has changed how {type(part).__name__} is called"
    return ""


def recorder(api: Any, index: int) -> Record:
    """Records on the GPU `index` with `api`, which is `torch.cuda` or has what that has.

    All recordings of a component share memory for what lives only during a call.
    """
    pool, side = api.graph_pool_handle(), api.Stream(device=index)

    def record(module: "torch.nn.Module", arrays: Sequence["torch.Tensor"]) -> Recording:
        import torch

        with torch.inference_mode(False), torch.no_grad():  # or only calls in that mode could write to them
            inputs = tuple(torch.empty_like(array).copy_(array) for array in arrays)
        with api.device(index):
            warm_up(api, side, module, inputs)
            graph = api.CUDAGraph()
            with api.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
                answer = module(*inputs)
        return Recording(inputs, answer, graph.replay)

    return record


def warm_up(api: Any, side: Any, module: "torch.nn.Module", inputs: Sequence["torch.Tensor"]) -> None:
    """Three calls on the stream `side`, as recording asks for: they choose kernels and take work space."""
    side.wait_stream(api.current_stream())
    with api.stream(side):
        for _ in range(3):
            module(*inputs)
    api.current_stream().wait_stream(side)


def copied(answer: Any) -> Any:
    """A tensor or tuple of tensors, copied."""
    return tuple(map(copied, answer)) if isinstance(answer, tuple) else answer.clone()
