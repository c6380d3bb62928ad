"""The most memory that this process has held, where that is counted."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PeakMemory:
    """Bytes; `of` is the torch device whose allocator counted them, or "process" for all of this process."""

    bytes: int | None
    of: str


def peak_memory(homes: Sequence[str]) -> PeakMemory:
    """What torch counted on the first accelerator among `homes`, else what the system counted."""
    torch = sys.modules.get("torch")
    for home in homes:
        name, _, index = home.partition(":")
        api: Any = getattr(torch, name, None)
        if hasattr(api, "max_memory_allocated"):
            return PeakMemory(int(api.max_memory_allocated(int(index or 0))), home)
    return PeakMemory(_process(), "process")


def _process() -> int | None:
    """Linux counts it since the program began; elsewhere what started the program may count as well."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return _resource()


def _resource() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
