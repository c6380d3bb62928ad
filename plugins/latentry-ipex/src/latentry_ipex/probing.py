"""Say whether Intel's extension is here, with the torch that it wants, without importing either."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from packaging.version import Version

from latentry_sdk import DeviceReport
from latentry_sdk.machine import system_memory
from latentry_sdk.torch_builds import torch_build

RANK = 4  # below the processor's 10: it is used where it is asked for
DISTRIBUTION = "intel-extension-for-pytorch"
INSTALL = "pip install latentry-ipex[torch], in an environment of its own"
DTYPES = ("float32", "bfloat16")


def probe() -> DeviceReport:
    """Whether the extension can be used: its version and torch's agree in their first two numbers."""
    build = torch_build()
    if build is None:
        return _missing("torch is not installed", INSTALL)
    if find_spec("intel_extension_for_pytorch") is None or (found := _version()) is None:
        return _missing(f"{DISTRIBUTION} is not installed", INSTALL)
    if Version(found).release[:2] != Version(build.version).release[:2]:
        return _missing(f"{DISTRIBUTION} {found} does not fit torch {build.version}", INSTALL)
    detail = f"{DISTRIBUTION} {found}, torch {build.version}"
    return DeviceReport(True, detail, dtypes=DTYPES, memory=system_memory(), rank=RANK)


def _version() -> str | None:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None


def _missing(detail: str, fix: str) -> DeviceReport:
    return DeviceReport(False, detail, fix=fix, rank=RANK)
