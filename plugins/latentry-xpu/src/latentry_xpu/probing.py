"""Say which Intel GPUs there are and whether the installed torch can use them, without importing torch."""

import os
import sys
from pathlib import Path

from latentry_sdk import DeviceReport, Memory
from latentry_sdk.torch_builds import missing_build, torch_build

RANK = 80  # the first GPU is preferred to the others, and all to the processor's 10
INDEX = "xpu"
INTEL = "0x8086"
SYSTEM = Path("/sys/class/drm")
MASK = "ZE_AFFINITY_MASK"
DTYPES = ("float32", "float16", "bfloat16")


def intel_gpus() -> int:
    """How many GPUs of Intel's Linux shows to this process: one for each device that renders."""
    files = SYSTEM.glob("renderD*/device/vendor")
    found = sum(_read(file) == INTEL for file in files)
    mask = os.environ.get(MASK)
    return found if mask is None else min(found, len([word for word in mask.split(",") if word.strip()]))


def probe(index: int) -> DeviceReport:
    """The GPU of this number, or what is missing. Whether it is one that computes shows when it is opened."""
    rank, build, count = RANK - index, torch_build(), intel_gpus()
    wrong = missing_build(build, "xpu", INDEX, rank)
    if index < count or sys.platform == "win32":
        detail = f"Intel GPU {index}, torch {build.version if build else ''}"
        return wrong or DeviceReport(True, detail, dtypes=DTYPES, rank=rank)
    detail = f"Linux shows {count} GPUs of Intel's" + (f"; {wrong.detail}" if wrong else "")
    return DeviceReport(False, detail, fix="install Intel's GPU driver (i915 or xe)", rank=rank)


def free_memory(_index: int) -> Memory:
    """Linux does not tell what is free, and torch only once it is loaded, which planning does not do."""
    return Memory()


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
