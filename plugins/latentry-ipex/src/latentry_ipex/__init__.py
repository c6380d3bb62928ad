"""Intel's extension of torch as a Latentry device."""

from collections.abc import Sequence

from latentry_ipex.options import IpexOptions
from latentry_ipex.probing import probe
from latentry_sdk import Device, DeviceSpec, Options, hookimpl


def open_ipex(options: Options) -> Device:
    """The processor or GPU, open; `Unavailable` where the extension does not see it."""
    from latentry_ipex.device import ipex_device

    return ipex_device(IpexOptions.model_validate(options.model_dump()))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `ipex`."""
    about = "Intel's extension of torch"
    return [DeviceSpec("ipex", probe, open_ipex, options=IpexOptions, description=about)]
