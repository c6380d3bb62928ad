"""The processor as a Latentry device."""

from collections.abc import Sequence

from latentry_cpu.probing import probe
from latentry_sdk import Count, Device, DeviceSpec, Field, Options, hookimpl

MAX_THREADS = 1024


class CpuOptions(Options):
    """How the processor is used.

    `channels_last` is off for want of a clear gain: with one thread on an AVX2 machine, UNets of 2, 34 and
    213 million parameters took 1.00, 1.04 and 0.95 times as long with it (medians of 40, 12 and 24 pairs of
    calls, each within 0.83 to 1.22).
    """

    threads: Count = Field(
        0, ge=0, le=MAX_THREADS, description="Threads for one operation; 0 leaves torch's own"
    )
    channels_last: bool = Field(False, description="Keep convolutions in channels-last order")


def open_cpu(options: Options) -> Device:
    """The processor, open."""
    from latentry_cpu.device import processor
    from latentry_sdk.torch_device import TorchDevice

    return TorchDevice(processor(CpuOptions.model_validate(options.model_dump())))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `cpu`."""
    return [DeviceSpec("cpu", probe, open_cpu, options=CpuOptions, description="The processor, with torch")]
