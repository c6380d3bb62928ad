"""What the OpenVINO device can be told, and whether it is installed; imports nothing heavy."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path

from latentry_sdk import Count, DeviceReport, Field, Options
from latentry_sdk.engines import installed, system_memory

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
RANK = 5  # below the processor's 10: OpenVINO is used where it is asked for

Precision = Literal["f32", "bf16", "f16"]


class OpenVinoOptions(Options):
    """Where and how OpenVINO runs."""

    target: str = Field("CPU", pattern=r"[A-Z][A-Z0-9.:,]*", description="Its device: CPU, GPU, NPU, AUTO")
    threads: Count = Field(0, ge=0, le=1024, description="Threads on the CPU; 0 leaves OpenVINO's choice")
    precision: Precision = Field(
        "f32", description="Computes in this where no dtype is asked; f32 equals torch"
    )
    cache: Path = Field(
        default_factory=lambda: user_cache_path("latentry") / "openvino", description="Converted models"
    )


def probe() -> DeviceReport:
    """Whether OpenVINO and torch, which it converts from, are installed; imports neither."""
    for name in ("openvino", "torch"):
        if find_spec(name) is None:
            return DeviceReport(False, f"{name} is not installed", fix=f"pip install {name}", rank=RANK)
    detail = f"OpenVINO {installed('openvino')}"
    return DeviceReport(True, detail, dtypes=tuple(PRECISIONS), memory=system_memory(), rank=RANK)
