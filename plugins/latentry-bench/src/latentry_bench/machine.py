"""What this machine is, as far as it decides what is fastest on it; imports nothing heavy."""

import os
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from latentry_sdk.machine import installed

Signature = Mapping[str, str | int]
"""JSON-able; two machines with equal ones are taken to be as fast as each other."""


@cache
def signature() -> Signature:
    """The processor, the GPUs of NVIDIA's with their driver, and torch's version; read once in a process.

    Other makers' GPUs are told apart by what their devices' probes say, which a profile's entries keep.
    """
    gpus, driver = _nvidia()
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "gpus": ", ".join(gpus),
        "driver": driver,
        "torch": installed("torch"),
    }


def changed(recorded: Signature, now: Signature) -> str | None:
    """The first thing that is not as it was recorded, in words."""
    for name in (*now, *recorded):
        if recorded.get(name) != now.get(name):
            return f"{name} was {recorded.get(name) or 'none'!s:.80}, and is {now.get(name) or 'none'!s:.80}"
    return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _nvidia() -> tuple[Sequence[str], str]:
    """The names of the GPUs, and the newest CUDA that their driver runs."""
    from latentry_sdk.nvidia import NoDriver, driver, driver_version, gpus

    try:
        with driver() as nvml:
            major, minor = driver_version(nvml)
            return [gpu.name for gpu in gpus(nvml)], f"CUDA {major}.{minor}"
    except (ImportError, NoDriver):
        return [], ""
