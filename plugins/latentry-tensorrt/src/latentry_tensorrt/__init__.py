"""Run components with TensorRT."""

from collections.abc import Sequence

from latentry_sdk import Device, DeviceSpec, Options, hookimpl
from latentry_tensorrt.options import TensorRtOptions
from latentry_tensorrt.probing import probe


def open_tensorrt(options: Options) -> Device:
    """The device; imports TensorRT. `Unavailable` where torch does not see the GPU."""
    from latentry_tensorrt.device import tensorrt_device

    return tensorrt_device(TensorRtOptions.model_validate(options.model_dump()))


@hookimpl
def register_devices() -> Sequence[DeviceSpec]:
    """The device `tensorrt`."""
    return [DeviceSpec("tensorrt", probe, open_tensorrt, options=TensorRtOptions, description="TensorRT")]
