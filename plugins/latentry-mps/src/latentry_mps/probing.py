"""Say whether this is a Mac whose GPU torch can use, without importing torch."""

import platform
import sys

from latentry_sdk import DeviceReport
from latentry_sdk.machine import system_memory
from latentry_sdk.torch_builds import torch_build

RANK = 90  # preferred to the processor's 10
OLDEST = 14
"""The first macOS whose GPU computes in bfloat16; newer builds of torch want it anyway."""

DTYPES = ("float32", "float16", "bfloat16")


def probe() -> DeviceReport:
    """The GPU as it is now, or what is missing."""
    build = torch_build()
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return _missing("this is no Mac with a processor of Apple's", "use another device")
    if int(platform.mac_ver()[0].partition(".")[0] or 0) < OLDEST:
        return _missing(f"macOS {platform.mac_ver()[0]} is too old", f"update to macOS {OLDEST} or later")
    if build is None:
        return _missing("torch is not installed", "pip install torch")
    detail = f"Apple GPU, macOS {platform.mac_ver()[0]}, torch {build.version}"
    return DeviceReport(True, detail, dtypes=DTYPES, memory=system_memory(), rank=RANK)


def _missing(detail: str, fix: str) -> DeviceReport:
    return DeviceReport(False, detail, fix=fix, rank=RANK)
