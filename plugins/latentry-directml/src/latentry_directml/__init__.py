"""Any GPU of Windows as a Latentry device."""

from collections.abc import Sequence

from latentry_directml.options import DirectMlOptions
from latentry_directml.probing import probe
from latentry_sdk import Device, DeviceSpec, Options, hookimpl


def open_directml(options: Options) -> Device:
    """The GPU, open; `Unavailable` where DirectML has no such adapter."""
    from latentry_directml.device import directml_device

    return directml_device(DirectMlOptions.model_validate(options.model_dump()))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `directml`."""
    about = "A GPU of Windows, with torch-directml"
    return [DeviceSpec("directml", probe, open_directml, options=DirectMlOptions, description=about)]
