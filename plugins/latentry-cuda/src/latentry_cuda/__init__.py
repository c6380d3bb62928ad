"""NVIDIA GPUs as Latentry devices, one for each."""

from collections.abc import Sequence

from latentry_cuda.options import CudaOptions
from latentry_cuda.probing import expected, free_memory, probe
from latentry_sdk import Device, DeviceSpec, Options, hookimpl
from latentry_sdk.gpus import one_for_each


def open_cuda(index: int, options: Options) -> Device:
    """The GPU of this number, open; `Unavailable` where torch does not see it."""
    from latentry_cuda.device import cuda_device

    return cuda_device(index, CudaOptions.model_validate(options.model_dump()))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `cuda`, also called `cuda:0`, and `cuda-1`, also called `cuda:1`, and so on."""
    return one_for_each(
        expected(), "cuda", "NVIDIA", probe=probe, open=open_cuda, memory=free_memory, options=CudaOptions
    )
