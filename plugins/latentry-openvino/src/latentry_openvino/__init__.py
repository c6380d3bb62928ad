"""Run components with OpenVINO."""

from collections.abc import Sequence
from functools import partial

from latentry_openvino.engine import CpuOptions, GpuOptions, NpuOptions, probe, probe_target
from latentry_sdk import Device, DeviceSpec, Options, hookimpl


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """`openvino`, the processor unless told otherwise, and Intel's other hardware."""
    gpu, npu = partial(probe_target, "GPU"), partial(probe_target, "NPU")
    return [
        DeviceSpec("openvino", probe, open_openvino, options=CpuOptions, description="OpenVINO"),
        DeviceSpec(
            "openvino-gpu", gpu, open_openvino, options=GpuOptions, description="OpenVINO: Intel's GPU"
        ),
        DeviceSpec(
            "openvino-npu", npu, open_openvino, options=NpuOptions, description="OpenVINO: Intel's NPU"
        ),
    ]


def open_openvino(options: Options) -> Device:
    """The device; imports OpenVINO. `Unavailable` where it has no such target."""
    from latentry_openvino.device import OpenVinoDevice

    assert isinstance(options, CpuOptions | GpuOptions | NpuOptions)
    return OpenVinoDevice(options)
