"""What OpenVINO's devices can be told, and whether they are there; imports nothing heavy."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path
from pydantic import field_validator

from latentry_sdk import Count, DeviceReport, Field, Options
from latentry_sdk.files import Folder
from latentry_sdk.machine import installed, system_memory

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
RANK = 5  # below the processor's 10: OpenVINO is used where it is asked for
SECONDS = 20
FILES = {"GPU": "dri/renderD*", "NPU": "accel/accel*"}
"""What Linux has in /dev for a device that OpenVINO could drive; without it there is no need to ask."""

LIST = "import openvino; print(*openvino.Core().available_devices)"
Precision = Literal["f32", "bf16", "f16"]


class OpenVinoOptions(Options):
    """How OpenVINO runs, on any of its devices.

    On the processor, one call at a time has all threads: more streams leave each with fewer.
    """

    threads: Count = Field(0, ge=0, le=1024, description="Threads on the CPU; 0 leaves OpenVINO's choice")
    streams: Count = Field(0, ge=0, le=1024, description="Calls that can run at once; 0 leaves its choice")
    hint: Literal["none", "latency", "throughput"] = Field(
        "none", description="What it shall choose threads and streams for"
    )
    cache: Folder = Field(
        default_factory=lambda: user_cache_path("latentry") / "openvino", description="Converted models"
    )


class FlexibleOptions(OpenVinoOptions):
    """A device that takes any size in any precision."""

    shapes: Literal["dynamic", "static"] = Field(
        "dynamic", description="static compiles for each size of picture on its own"
    )
    precision: Precision = Field(
        "f32", description="Computes in this where no dtype is asked; f32 equals torch"
    )
    int8: Literal["none", "unet"] = Field(
        "none", description="What has weights and activations in 8 bits: faster, and another picture"
    )

    @field_validator("int8")
    @classmethod
    def _can_round(cls, asked: str) -> str:
        """Refused while planning where NNCF is missing."""
        if asked != "none" and find_spec("nncf") is None:
            raise ValueError('NNCF is not installed: pip install "latentry-openvino[int8]"')
        return asked


class CpuOptions(FlexibleOptions):
    """The device `openvino`: the processor, unless another target is named."""

    target: str = Field("CPU", pattern=r"[A-Z][A-Z0-9.:,]*", description="Its device: CPU, GPU, NPU, AUTO")


class GpuOptions(FlexibleOptions):
    """The device `openvino-gpu`."""

    target: str = Field("GPU", pattern=r"GPU(\.\d+)?", description="GPU, or GPU.1 for the second of several")


class NpuOptions(OpenVinoOptions):
    """The device `openvino-npu`, which computes in half precision, for one size of picture at a time."""

    target: Literal["NPU"] = Field("NPU", description="OpenVINO's name of it")
    shapes: Literal["static"] = Field("static", description="It compiles for each size of picture")
    precision: Literal["f16"] = Field("f16", description="What it computes in")


AnyOptions = CpuOptions | GpuOptions | NpuOptions


def probe() -> DeviceReport:
    """Whether OpenVINO and torch, which it converts from, are installed; imports neither."""
    for name in ("openvino", "torch"):
        if find_spec(name) is None:
            return DeviceReport(False, f"{name} is not installed", fix=f"pip install {name}", rank=RANK)
    detail = f"OpenVINO {installed('openvino')}"
    return DeviceReport(True, detail, dtypes=tuple(PRECISIONS), memory=system_memory(), rank=RANK)


def probe_target(target: str) -> DeviceReport:
    """Whether OpenVINO itself lists the target, "GPU" or "NPU"; it is asked in a process of its own."""
    report = probe()
    if not report.available:
        return report
    fix = f"install Intel's driver for its {target}, or use the device openvino"
    there = {name.split(".")[0] for name in listed()} if may_have(target) else set()
    if target not in there:
        return DeviceReport(False, f"OpenVINO finds no {target}", fix=fix, rank=RANK)
    dtypes = ("float16",) if target == "NPU" else ("float16", "float32")
    return DeviceReport(True, f"{report.detail}, {target}", dtypes=dtypes, rank=RANK)


def may_have(target: str) -> bool:
    """Whether the system has a file for such a device; always, where systems do not have such files."""
    return not sys.platform.startswith("linux") or any(Path("/dev").glob(FILES[target]))


def listed() -> list[str]:
    """The devices that OpenVINO finds: CPU, GPU.0 …"""
    try:
        asked = subprocess.run(
            [sys.executable, "-c", LIST], capture_output=True, text=True, check=True, timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return asked.stdout.split()
