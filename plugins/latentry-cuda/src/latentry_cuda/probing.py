"""Say which NVIDIA GPUs there are and whether the installed torch can use them, without importing torch."""

import os
import sys
from pathlib import Path

from latentry_sdk import DeviceReport, Memory
from latentry_sdk.gpus import with_held
from latentry_sdk.nvidia import VISIBLE, NoDriver, NvidiaGpu, driver, driver_version, gpus
from latentry_sdk.torch_builds import missing_build, reinstall, torch_build

RANK = 100  # the first GPU is preferred to the others, and all to the processor's 10
GPUS = Path("/proc/driver/nvidia/gpus")
INDICES = {12: "cu126", 13: "cu130"}
"""pytorch.org's builds by the newest CUDA that the driver runs."""

GENERATIONS = {(5, 3): "float16", (8, 0): "bfloat16", (8, 9): "float8_e4m3fn"}
"""The first generation that has each type, besides float32."""


def expected() -> int:
    """How many GPUs there seem to be. The driver may take seconds to start: it is asked only where needed."""
    wanted = os.environ.get(VISIBLE)
    if wanted is not None:
        return len([word for word in wanted.split(",") if word.strip() not in ("", "-1")])
    if GPUS.is_dir():
        return len(list(GPUS.iterdir()))
    if sys.platform != "win32" and not Path("/dev/dxg").exists():
        return 0
    try:
        with driver() as nvml:
            return len(gpus(nvml))
    except NoDriver:
        return 0


def probe(index: int) -> DeviceReport:
    """The GPU of this number as it is now, or what is missing."""
    rank = RANK - index
    try:
        with driver() as nvml:
            found, newest = gpus(nvml), driver_version(nvml)
    except NoDriver as exc:
        wrong = missing_build(torch_build(), "cuda", INDICES[13], rank)
        detail = f"NVIDIA's driver is not there ({exc})" + (f"; {wrong.detail}" if wrong else "")
        fix = "install NVIDIA's driver" + (f", then {wrong.fix}" if wrong else "")
        return DeviceReport(False, detail, fix=fix, rank=rank)
    if index >= len(found):
        detail, fix = f"CUDA shows {len(found)} GPUs to this process", f"see {VISIBLE}, or use another device"
        return DeviceReport(False, detail, fix=fix, rank=rank)
    return _torch_missing(newest, rank) or _report(found[index], rank)


def free_memory(index: int) -> Memory:
    """What the GPU has now; what torch holds there in this process counts as free."""
    with driver() as nvml:
        return with_held(gpus(nvml)[index].memory, "cuda", index)


def dtypes_of(capability: tuple[int, int]) -> tuple[str, ...]:
    """The types that a GPU of this generation has, float32 first."""
    return ("float32", *(name for since, name in GENERATIONS.items() if capability >= since))


def _torch_missing(newest: tuple[int, int], rank: int) -> DeviceReport | None:
    """Torch is not there, or was not built for CUDA, or for one that the driver is too old for."""
    index = INDICES[min(max(newest[0], min(INDICES)), max(INDICES))]
    build = torch_build()
    if wrong := missing_build(build, "cuda", index, rank):
        return wrong
    wanted = build.cuda if build else None
    if wanted and int(wanted.split(".")[0]) > newest[0]:
        detail = f"torch was built for CUDA {wanted}, the driver runs CUDA {newest[0]}.{newest[1]} at most"
        return DeviceReport(False, detail, fix=f"update the driver, or {reinstall(index)}", rank=rank)
    return None


def _report(gpu: NvidiaGpu, rank: int) -> DeviceReport:
    build = torch_build()
    major, minor = gpu.capability
    detail = f"{gpu.name} (compute capability {major}.{minor}), torch {build.version if build else ''}"
    return DeviceReport(True, detail, dtypes=dtypes_of(gpu.capability), memory=gpu.memory, rank=rank)
