"""Say whether torch-directml is here, with the torch that it wants, without importing either."""

import sys
from importlib.metadata import requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from latentry_sdk import DeviceReport
from latentry_sdk.torch_builds import torch_build

RANK = 60  # preferred to the processor's 10, and not to a maker's own runtime
DISTRIBUTION = "torch-directml"
INSTALL = "pip install latentry-directml[torch], in an environment of its own"
DTYPES = ("float32", "float16")


def probe() -> DeviceReport:
    """Whether DirectML can be used; which GPUs it has shows when it is opened."""
    if sys.platform != "win32" and not Path("/dev/dxg").exists():
        return _missing("DirectML is a part of Windows and of WSL", "use another device")
    if find_spec("torch_directml") is None:
        return _missing(f"{DISTRIBUTION} is not installed", INSTALL)
    build = torch_build()
    if build is None:
        return _missing("torch is not installed", INSTALL)
    if (wanted := wanted_torch()) and not wanted.specifier.contains(build.version.partition("+")[0]):
        return _missing(f"{DISTRIBUTION} needs {wanted}, found torch {build.version}", INSTALL)
    detail = f"{DISTRIBUTION} {version(DISTRIBUTION)}, torch {build.version}"
    return DeviceReport(True, detail, dtypes=DTYPES, rank=RANK)


def wanted_torch() -> Requirement | None:
    """The torch that torch-directml was made for."""
    parsed = [Requirement(line) for line in requires(DISTRIBUTION) or ()]
    return next((requirement for requirement in parsed if requirement.name == "torch"), None)


def _missing(detail: str, fix: str) -> DeviceReport:
    return DeviceReport(False, detail, fix=fix, rank=RANK)
