"""Fields that have one meaning only here, and fields that nobody knows: refused, never passed over."""

from collections.abc import Collection, Mapping
from typing import Any

from latentry_api_a1111.fields import IGNORED, Asked, Img2Img, Txt2Img
from latentry_sdk import Host, InvalidRequest

ONLY: Mapping[str, tuple[Any, ...]] = {
    "seed_resize_from_h": (-1, 0),
    "seed_resize_from_w": (-1, 0),
    "restore_faces": (False,),
    "s_churn": (0,),
    "s_tmax": (0,),
    "s_tmin": (0,),
    "s_noise": (1,),
    "s_min_uncond": (0,),
    "script_name": ("", "None"),
    "firstphase_width": (0,),
    "firstphase_height": (0,),
    "hr_checkpoint_name": ("", "Use same checkpoint"),
    "image_cfg_scale": (0, 1.5),
    "initial_noise_multiplier": (1,),
}
"""The values that a field may have."""

LEAST = 8
"""Pixels of a side, where a call leaves it to the model."""

NEEDED_BY: Mapping[str, str] = {
    "prompt": "styles or CLIP_stop_at_last_layers",
    "variation": "subseed_strength",
    "seamless": "tiling",
    "refiner": "refiner_checkpoint",
}
"""Stages that may not be installed, and what needs them."""


def check_fields(asked: Asked) -> None:
    """Raise `InvalidRequest` for a field that asks for what is not here, or that is not known.

    An unknown field may be empty: clients for other servers send theirs along. A field of the other kind of
    call may have its default.
    """
    for name, legal in ONLY.items():
        value = getattr(asked, name, legal[0])
        if value not in legal:
            only = " or ".join(repr(each) for each in legal)
            raise InvalidRequest(f"{name} can only be {only} here", fix="leave it out")
    for name, value in (asked.model_extra or {}).items():
        if value and name not in IGNORED and value != _default(name):
            raise InvalidRequest(f"the field {ascii(name)[:80]} is not known here", fix="leave it out")


def check_scripts(scripts: Mapping[str, Any]) -> None:
    """Raise `InvalidRequest` for a script that is switched on: no script is installed.

    Clients name all that they know and say by arguments which they want.
    """
    for name, script in scripts.items():
        arguments = script.get("args", ()) if isinstance(script, dict) else script
        if is_on(arguments):
            raise InvalidRequest(f"there is no script {ascii(name)[:80]} here", fix="switch it off")


def check_provided(task: str, owners: Collection[str], host: Host) -> None:
    """Raise `InvalidRequest` that says which plugin is missing: the task's, or one that has options."""
    if task not in host.registry.tasks:
        raise InvalidRequest(f"the task {task} is not installed", fix=f"install latentry-{task}")
    for stage, field in NEEDED_BY.items():
        if stage in owners and stage not in host.registry.stages:
            fix = f"install latentry-{stage}"
            raise InvalidRequest(f"{field} needs a plugin that is not installed", fix=fix)


def check_pixels(asked: Asked, megapixels: float) -> None:
    """Raise `InvalidRequest` for more pixels than one job may have: one reply holds them all."""
    width, height = asked.width or LEAST, asked.height or LEAST
    if asked.images * width * height > megapixels * 1e6:
        size = f"{asked.images} × {width} × {height}"
        raise InvalidRequest(f"{size} is more than {megapixels:g} megapixels in one call")


def is_on(argument: Any) -> bool:
    """Whether a script's argument, or any of several, says more than "off"."""
    if isinstance(argument, dict):
        switches = [argument[name] for name in ("enabled", "enable", "is_enabled") if name in argument]
        return all(switches) if switches else bool(argument)
    if isinstance(argument, list | tuple):
        return any(is_on(each) for each in argument)
    return bool(argument)


def _default(name: str) -> Any:
    """The default of a field of either kind; None where neither has it."""
    fields = {**Txt2Img.model_fields, **Img2Img.model_fields}
    return fields[name].default if name in fields else None
