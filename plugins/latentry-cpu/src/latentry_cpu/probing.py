"""Say whether torch is there and how much memory is free, without importing torch."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from latentry_sdk import DeviceReport, Memory

DTYPES = ("float32", "bfloat16")
RANK = 10


def probe() -> DeviceReport:
    """The processor as it is now; unavailable where torch is not installed."""
    if find_spec("torch") is None:
        return DeviceReport(False, "torch is not installed", fix="pip install torch", rank=RANK)
    return DeviceReport(True, f"torch {torch_version()}", dtypes=DTYPES, memory=system_memory(), rank=RANK)


def torch_version() -> str:
    """The installed version, from its metadata."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return "of unknown version"


def system_memory() -> Memory:
    """What the system has, and what it could give without swapping."""
    import psutil

    found = psutil.virtual_memory()
    return Memory(total=int(found.total), free=int(found.available))
