"""Ask NVIDIA's driver about its GPUs, without torch and without taking memory there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from latentry_sdk import Memory

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
    """NVML's handles of what CUDA shows where CUDA_VISIBLE_DEVICES is `wanted`: numbers, or UUIDs.

    As for CUDA, the first word that names none ends the list.
    """
    every = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    if wanted is None:
        return every
    found: list[Any] = []
    for word in wanted.split(","):
        if (handle := _handle(nvml, word.strip(), every)) is None:
            break
        found.append(handle)
    return found


def driver_version(nvml: Any) -> tuple[int, int]:
    """The newest CUDA that the driver runs, as (12, 8)."""
    number = nvml.nvmlSystemGetCudaDriverVersion_v2()
    return number // 1000, number % 1000 // 10


def _handle(nvml: Any, word: str, every: Sequence[Any]) -> Any:
    if word.isdecimal():
        return every[int(word)] if int(word) < len(every) else None
    if word.startswith("MIG-"):
        return nvml.nvmlDeviceGetHandleByUUID(word)
    named = [handle for handle in every if word and nvml.nvmlDeviceGetUUID(handle).startswith(word)]
    return named[0] if len(named) == 1 else None


def _gpu(nvml: Any, handle: Any) -> NvidiaGpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    capability = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    found = Memory(total=int(memory.total), free=int(memory.free))
    return NvidiaGpu(nvml.nvmlDeviceGetName(handle), tuple(capability), found)
