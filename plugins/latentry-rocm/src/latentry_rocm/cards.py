"""Read from Linux which AMD GPUs can compute, without torch or ROCm's libraries."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentry_sdk import Memory
from latentry_sdk.gpus import visible

SYSTEM = Path("/sys/class")
NODES = "kfd/kfd/topology/nodes"
VISIBLE = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
"""Applied one after the other, as ROCm and HIP do; numbers count what the one before shows."""


@dataclass(frozen=True)
class Card:
    """One GPU: `architecture` as compilers call it, "gfx1100", and its folder in `SYSTEM`."""

    architecture: str
    uuid: str
    folder: Path

    def memory(self) -> Memory:
        """Its own memory; unknown where the driver does not tell."""
        total = _number(self.folder / "mem_info_vram_total")
        used = _number(self.folder / "mem_info_vram_used")
        return Memory(total, None if total is None or used is None else max(total - used, 0))


def visible_cards() -> Sequence[Card]:
    """The GPUs that HIP shows to this process, in its order."""
    nodes = sorted((SYSTEM / NODES).glob("*/properties"), key=lambda file: int(file.parent.name))
    found = [card for node in nodes if (card := _card(_properties(node)))]
    for variable in VISIBLE:
        shown = visible([card.uuid for card in found], os.environ.get(variable))
        found = [found[index] for index in shown]
    return found


def architecture(version: int) -> str:
    """The name of an architecture from the driver's number: 90402 is gfx942, 90010 is gfx90a."""
    major, minor, step = version // 10_000, version // 100 % 100, version % 100
    return f"gfx{major}{minor:x}{step:x}"


def _card(properties: Mapping[str, int]) -> Card | None:
    """None for the processor, which is a node too."""
    if not properties.get("simd_count"):
        return None
    folder = SYSTEM / f"drm/renderD{properties.get('drm_render_minor', 0)}/device"
    uuid = f"GPU-{properties.get('unique_id', 0):016x}"
    return Card(architecture(properties.get("gfx_target_version", 0)), uuid, folder)


def _properties(file: Path) -> Mapping[str, int]:
    try:
        rows = [line.split() for line in file.read_text().splitlines()]
    except OSError:  # a GPU that this user may not use
        return {}
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
