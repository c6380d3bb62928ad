"""Run components with OpenVINO."""

from collections.abc import Sequence

from latentry_openvino.engine import OpenVinoOptions, probe
from latentry_sdk import Device, DeviceSpec, Options, hookimpl


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `openvino`."""
    return [DeviceSpec("openvino", probe, open_openvino, options=OpenVinoOptions, description="OpenVINO")]


def open_openvino(options: Options) -> Device:
    """The device; imports OpenVINO. `Unavailable` where it has no such target."""
    from latentry_openvino.device import OpenVinoDevice

    assert isinstance(options, OpenVinoOptions)
    return OpenVinoDevice(options)
