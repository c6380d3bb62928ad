"""The second pass at a larger size that AUTOMATIC1111 writes of, as options of the task `hires`."""

from collections.abc import Mapping
from typing import Any

from latentry_replay.foreign import SECOND_PASS, Foreign
from latentry_replay.solvers import solver
from latentry_sdk import Host, UserError, parsed

NAME = "hires"
SAME_NAME = ("scale", "steps", "guidance", "prompt", "negative")


def second_pass(host: Host, foreign: Foreign, lost: list[str]) -> Mapping[str, Any]:
    """The options; none where the record tells of no such pass, or no plugin has the task.

    Another program runs all steps of the second pass: that is `exact_steps`. Adds to `lost` what is left out.
    """
    found = {name: foreign.settings[key] for key, name in SECOND_PASS.items() if key in foreign.settings}
    if not found:
        return {}
    if NAME not in host.registry.tasks:
        lost += [f"{key}: {foreign.settings[key]}" for key in SECOND_PASS if key in foreign.settings]
        return {}
    width, by, height = str(found.get("size", "")).partition("x")
    solving = {"sampler": foreign.settings["sampler"], **found} if "scheduler" in found else found
    sampler, scheduler = solver(host, solving, lost) if "sampler" in solving else (None, None)
    options = {
        "exact_steps": True,
        "strength": foreign.settings.get("strength"),
        **{name: found.get(name) for name in SAME_NAME},
        **({"width": width, "height": height} if by else {}),
        "upscaler": _upscaler(host, found.get("upscaler"), lost),
        "sampler": sampler if "sampler" in found else None,
        "scheduler": scheduler,
    }
    return {name: value for name, value in options.items() if value is not None}


def _upscaler(host: Host, name: str | None, lost: list[str]) -> str | None:
    """The upscaler as it is written, where the task has it; None, and a line in `lost`, for another."""
    if name is None:
        return None
    try:
        parsed(host.registry.tasks[NAME].options, {"upscaler": name})
    except UserError:
        lost.append(f"Hires upscaler: {name}")
        return None
    return name
