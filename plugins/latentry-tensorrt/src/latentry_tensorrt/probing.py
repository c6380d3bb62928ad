"""Say whether TensorRT, a torch for CUDA and an NVIDIA GPU are here, without importing the former two."""

from importlib.util import find_spec

from latentry_sdk import DeviceReport
from latentry_sdk.machine import UNKNOWN, installed
from latentry_sdk.nvidia import NoDriver, driver, driver_version, gpus
from latentry_sdk.torch_builds import missing_build, torch_build
from latentry_tensorrt.options import DISTRIBUTIONS, DTYPES

RANK = 3  # below the processor's 10: TensorRT is used where it is asked for, since building takes minutes


def probe() -> DeviceReport:
    """The first GPU, or what is missing."""
    try:
        with driver() as nvml:
            found, newest = gpus(nvml), driver_version(nvml)
    except NoDriver as exc:
        return _missing(f"NVIDIA's driver is not there ({exc})", "install NVIDIA's driver")
    if not found:
        return _missing("CUDA shows no GPU to this process", "see CUDA_VISIBLE_DEVICES")
    runtime = 13 if newest[0] >= 13 else 12
    if wrong := missing_build(torch_build(), "cuda", "cu130" if runtime == 13 else "cu126", RANK):
        return wrong
    for name in ("onnx", "onnxscript"):
        if find_spec(name) is None:
            return _missing(f"{name} is not installed", f"pip install {name}")
    if find_spec("tensorrt") is None:
        return _missing("TensorRT is not installed", f"pip install latentry-tensorrt[cu{runtime}]")
    versions = {name: installed(name) for name in DISTRIBUTIONS}
    known = [version for version in versions.values() if version != UNKNOWN]
    detail = f"TensorRT {known[0] if known else UNKNOWN} on {found[0].name}"
    return DeviceReport(True, detail, dtypes=DTYPES, memory=found[0].memory, rank=RANK)


def _missing(detail: str, fix: str) -> DeviceReport:
    return DeviceReport(False, detail, fix=fix, rank=RANK)
