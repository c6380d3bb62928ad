"""Call TensorRT's engines with torch tensors that are on the same GPU."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from latentry_sdk import Memory
from latentry_sdk.engines import Converted

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TYPES = {"FLOAT": "float32", "HALF": "float16", "BF16": "bfloat16", "INT32": "int32", "INT64": "int64",
         "BOOL": "bool"}  # fmt: skip


@dataclass(frozen=True)
class Gpu:
    """The GPU to run on: `name` tells it from others that want other engines, `home` is torch's name of it.

    `current()` makes it the one that CUDA uses, `stream()` is the CUDA stream to run on.
    """

    name: str
    home: str
    memory: Callable[[], Memory]
    current: Callable[[], AbstractContextManager[Any]]
    stream: Callable[[], int]


class TensorRtEngine:
    """One engine on a GPU; calls take turns."""

    def __init__(self, engine: Any, converted: Converted, gpu: Gpu) -> None:
        self.many = converted.many
        self._converted, self._engine, self._gpu = converted, engine, gpu
        self._lock = Lock()
        self._context = engine.create_execution_context()
        if self._context is None:
            raise MemoryError("TensorRT made no execution context")
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self._inputs = [name for name in names if engine.get_tensor_mode(name).name == "INPUT"]
        self._outputs = [name for name in names if name not in self._inputs]

    def takes(self, arrays: Sequence["Tensor"]) -> bool:
        """Whether it gives the right numbers for arguments of these shapes and kinds."""
        return self._converted.takes(arrays) and all(map(self._within, self._inputs, arrays))

    def __call__(self, arrays: Sequence["Tensor"]) -> list["Tensor"]:
        """The outputs, new ones for each call, on the GPU."""
        given = [array.to(self._gpu.home, self._type(name)).contiguous()
                 for name, array in zip(self._inputs, arrays, strict=True)]  # fmt: skip
        with self._lock, self._gpu.current():
            for name, array in zip(self._inputs, given, strict=True):
                if not self._context.set_input_shape(name, tuple(array.shape)):
                    raise RuntimeError(f"TensorRT takes no {tuple(array.shape)} for {name}")
                self._context.set_tensor_address(name, array.data_ptr())
            outputs = [self._room(name) for name in self._outputs]
            if not self._context.execute_async_v3(self._gpu.stream()):
                raise RuntimeError("TensorRT could not run the engine")
        return outputs

    def _room(self, name: str) -> "Tensor":
        """Memory for an output, now that the shapes of the inputs are known."""
        import torch

        shape = tuple(self._context.get_tensor_shape(name))
        room = torch.empty(shape, dtype=self._type(name), device=self._gpu.home)
        self._context.set_tensor_address(name, room.data_ptr())
        return room

    def _within(self, name: str, array: "Tensor") -> bool:
        lowest, _, largest = self._engine.get_tensor_profile_shape(name, 0)
        sizes = zip(lowest, array.shape, largest, strict=True)
        return all(least <= size <= most for least, size, most in sizes)

    def _type(self, name: str) -> "torch.dtype":
        import torch

        found: torch.dtype = getattr(torch, TYPES[self._engine.get_tensor_dtype(name).name])
        return found
