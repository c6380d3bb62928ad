"""An Intel GPU, open."""

from dataclasses import replace
from functools import partial

from latentry_sdk import Memory, Unavailable
from latentry_sdk.gpus import name_of
from latentry_sdk.torch_device import TorchDevice, TorchPlace
from latentry_sdk.torch_gpu import Gpu, GpuOptions
from latentry_xpu.probing import DTYPES


def xpu_device(index: int, options: GpuOptions) -> TorchDevice:
    """The GPU of this number, used as `options` say."""
    return TorchDevice(xpu_place(index, options))


def xpu_place(index: int, options: GpuOptions) -> TorchPlace:
    """What sets it apart from other torch devices; `Unavailable` where torch does not see it."""
    import torch

    name, count = name_of("xpu", index), torch.xpu.device_count() if torch.xpu.is_available() else 0
    if index >= count:
        raise Unavailable(f"torch sees {count} XPU devices, not {name}", fix="run latentry doctor")
    gpu = Gpu(torch.xpu, name=name, home=f"xpu:{index}", index=index, options=options)
    return replace(gpu.place(DTYPES), memory=partial(memory, gpu, index), doubles=False)


def memory(gpu: Gpu, index: int) -> Memory:
    """What the GPU has; some drivers tell its total only."""
    import torch

    try:
        return gpu.memory()
    except RuntimeError:
        return Memory(total=int(torch.xpu.get_device_properties(index).total_memory))
