"""Say whether torch is there and how much memory is free, without importing torch."""

from importlib.util import find_spec

from latentry_sdk import DeviceReport
from latentry_sdk.machine import installed, system_memory

DTYPES = ("float32", "bfloat16")
RANK = 10


def probe() -> DeviceReport:
    """The processor as it is now; unavailable where torch is not installed."""
    if find_spec("torch") is None:
        return DeviceReport(False, "torch is not installed", fix="pip install torch", rank=RANK)
    detail = f"torch {installed('torch')}"
    return DeviceReport(True, detail, dtypes=DTYPES, memory=system_memory(), rank=RANK)
