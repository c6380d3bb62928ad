"""Say which AMD GPUs there are and whether the installed torch can use them, without importing torch."""

import sys

from latentry_rocm.cards import Card, visible_cards
from latentry_sdk import DeviceReport, Memory
from latentry_sdk.gpus import with_held
from latentry_sdk.torch_builds import missing_build, torch_build

RANK = 95  # the first GPU is preferred to the others, and all to the processor's 10
INDEX = "rocm6.4"

BFLOAT16 = ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")
FLOAT8 = ("gfx94", "gfx95", "gfx12")
"""The beginnings of the architectures that have these types."""


def probe(index: int) -> DeviceReport:
    """The GPU of this number as it is now, or what is missing."""
    rank, build, found = RANK - index, torch_build(), visible_cards()
    if wrong := missing_build(build, "hip", INDEX, rank):
        return wrong if found else _nothing(index, 0, rank, f"; {wrong.detail}")
    version = f"torch {build.version if build else ''}"
    if index < len(found):
        return _report(found[index], version, rank)
    if sys.platform == "win32" and index == 0:
        detail = f"{version}; which GPU there is shows when it is opened"
        return DeviceReport(True, detail, dtypes=dtypes_of(""), rank=rank)
    return _nothing(index, len(found), rank, "")


def free_memory(index: int) -> Memory:
    """What the GPU has now; what torch holds there in this process counts as free."""
    found = visible_cards()
    return with_held(found[index].memory(), "cuda", index) if index < len(found) else Memory()


def dtypes_of(architecture: str) -> tuple[str, ...]:
    """The types that a GPU of this architecture has, float32 first."""
    kinds = {"bfloat16": BFLOAT16, "float8_e4m3fn": FLOAT8}
    return ("float32", "float16", *(name for name, those in kinds.items() if architecture.startswith(those)))


def _report(card: Card, version: str, rank: int) -> DeviceReport:
    detail, dtypes = f"AMD {card.architecture}, {version}", dtypes_of(card.architecture)
    return DeviceReport(True, detail, dtypes=dtypes, memory=card.memory(), rank=rank)


def _nothing(index: int, count: int, rank: int, more: str) -> DeviceReport:
    if index:
        return DeviceReport(False, f"ROCm shows {count} GPUs", fix="use another device", rank=rank)
    detail = f"Linux shows no AMD GPU that computes{more}"
    return DeviceReport(False, detail, fix="install AMD's driver (amdgpu with KFD)", rank=rank)
