"""The plainest device of the kit: torch modules on the processor, as they are."""

from latentry_sdk import DeviceReport, DeviceSpec, Memory
from latentry_sdk.torch_device import TorchDevice, TorchPlace

HERE = TorchPlace("here", "cpu", ("float32", "float64"), Memory, shared=True)


def probe() -> DeviceReport:
    """Always there."""
    return DeviceReport(True, "torch, on the processor", dtypes=HERE.dtypes)


HERE_SPEC = DeviceSpec("here", probe, lambda _options: TorchDevice(HERE), description="The kit's own")
