"""Samplers and schedules by the names that other programs have for them."""

from collections.abc import Mapping
from typing import Any

from latentry_sdk import Host, UnknownName

INVOKEAI = {"euler_a": "euler_ancestral", "kdpm_2": "dpm_2", "kdpm_2_a": "dpm_2_ancestral", "unipc": "uni_pc"}
"""InvokeAI's names of samplers, where they are others; a `_k` at the end asks for Karras' levels."""


def solver(host: Host, settings: Mapping[str, Any], lost: list[str]) -> tuple[str | None, str | None]:
    """Sampler and schedule by our names; None, and a line in `lost`, for one that is not here."""
    samplers, schedulers = host.registry.samplers, host.registry.schedulers
    asked, levels = str(settings["sampler"]).lower(), str(settings.get("scheduler") or "").lower()
    if asked.endswith("_k") or (not levels and asked.endswith(" karras")):  # one name for both
        asked, levels = asked.removesuffix("_k").removesuffix(" karras"), "karras"
    sampler = _found(samplers.find, INVOKEAI.get(asked, asked))
    scheduler = _found(schedulers.find, levels) if levels else None
    if sampler is None:
        lost.append(f"sampler: {settings['sampler']}")
    if levels and scheduler is None:
        lost.append(f"scheduler: {settings.get('scheduler')}")
    return sampler, scheduler


def _found(find: Any, name: str) -> str | None:
    try:
        found: str = find(name).name
    except UnknownName:
        return None
    return found
