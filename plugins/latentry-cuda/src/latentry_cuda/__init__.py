"""NVIDIA GPUs as Latentry devices, one for each."""

from collections.abc import Sequence
from functools import partial

from latentry_cuda.options import CudaOptions
from latentry_cuda.probing import expected, free_memory, name_of, probe
from latentry_sdk import Device, DeviceSpec, Options, hookimpl


def open_cuda(index: int, options: Options) -> Device:
    """The GPU of this number, open; `Unavailable` where torch does not see it."""
    from latentry_cuda.device import cuda_device

    return cuda_device(index, CudaOptions.model_validate(options.model_dump()))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `cuda`, also called `cuda:0`, and `cuda-1`, also called `cuda:1`, and so on."""
    return [
        DeviceSpec(
            name_of(index),
            partial(probe, index),
            partial(open_cuda, index),
            memory=partial(free_memory, index),
            options=CudaOptions,
            aliases=(f"cuda:{index}",),
            description=f"NVIDIA GPU {index}, with torch",
        )
        for index in range(max(1, expected()))
    ]
