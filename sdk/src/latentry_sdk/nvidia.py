"""Ask NVIDIA's driver about its GPUs, without torch and without taking memory there.

Who uses this depends on the distribution nvidia-ml-py.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from latentry.types import Memory
from latentry_sdk.gpus import visible

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class NvidiaGpu:
    """One GPU; `capability` is its generation, as (8, 9)."""

    name: str
    capability: tuple[int, int]
    memory: Memory


class NoDriver(Exception):
    """NVIDIA's driver is not there, or does not answer."""


@contextmanager
def driver() -> Iterator[Any]:
    """NVIDIA's management library, open; raises `NoDriver`, also for what it refuses."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            yield pynvml
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as exc:
        raise NoDriver(str(exc)) from exc


def gpus(nvml: Any) -> tuple[NvidiaGpu, ...]:
    """The GPUs that CUDA shows to this process, in its order."""
    return tuple(_gpu(nvml, handle) for handle in handles(nvml, os.environ.get(VISIBLE)))


def handles(nvml: Any, wanted: str | None) -> Sequence[Any]:
    """NVML's handles of what CUDA shows where CUDA_VISIBLE_DEVICES is `wanted`; of GPU parts the first."""
    if wanted is not None and wanted.startswith("MIG-"):
        return [nvml.nvmlDeviceGetHandleByUUID(wanted.split(",")[0].strip())]
    every = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    names = [nvml.nvmlDeviceGetUUID(handle) for handle in every]
    return [every[index] for index in visible(names, wanted)]


def driver_version(nvml: Any) -> tuple[int, int]:
    """The newest CUDA that the driver runs, as (12, 8)."""
    number = nvml.nvmlSystemGetCudaDriverVersion_v2()
    return number // 1000, number % 1000 // 10


def _gpu(nvml: Any, handle: Any) -> NvidiaGpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    capability = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    found = Memory(total=int(memory.total), free=int(memory.free))
    return NvidiaGpu(nvml.nvmlDeviceGetName(handle), tuple(capability), found)
