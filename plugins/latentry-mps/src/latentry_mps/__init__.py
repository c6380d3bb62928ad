"""The GPU of Apple's processors as a Latentry device."""

from collections.abc import Sequence

from latentry_mps.options import MpsOptions
from latentry_mps.probing import probe
from latentry_sdk import Device, DeviceSpec, Options, hookimpl
from latentry_sdk.machine import system_memory


def open_mps(options: Options) -> Device:
    """The GPU, open; `Unavailable` where torch does not see it."""
    from latentry_mps.device import mps_device

    return mps_device(MpsOptions.model_validate(options.model_dump()))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `mps`."""
    about = "The GPU of Apple's processors, with torch"
    return [DeviceSpec("mps", probe, open_mps, memory=system_memory, options=MpsOptions, description=about)]
