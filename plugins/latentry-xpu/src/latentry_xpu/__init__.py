"""Intel GPUs as Latentry devices, one for each."""

from collections.abc import Sequence

from latentry_sdk import Device, DeviceSpec, Options, hookimpl
from latentry_sdk.gpus import one_for_each
from latentry_sdk.torch_gpu import GpuOptions
from latentry_xpu.probing import free_memory, intel_gpus, probe


class XpuOptions(GpuOptions):
    """How an Intel GPU is used."""


def open_xpu(index: int, options: Options) -> Device:
    """The GPU of this number, open; `Unavailable` where torch does not see it."""
    from latentry_xpu.device import xpu_device

    return xpu_device(index, XpuOptions.model_validate(options.model_dump()))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `xpu`, also called `xpu:0`, and `xpu-1`, also called `xpu:1`, and so on."""
    return one_for_each(
        intel_gpus(), "xpu", "Intel", probe=probe, open=open_xpu, memory=free_memory, options=XpuOptions
    )
