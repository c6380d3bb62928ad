"""Settings: what `GET options` shows, what `POST options` and `override_settings` may change."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from latentry_sdk import Count, Field, Host, InvalidRequest, ModelEntry, Options, UnknownName, parsed

MODEL, CLIP = "sd_model_checkpoint", "CLIP_stop_at_last_layers"
HASHED = re.compile(r" \[[0-9a-fA-F]{6,64}\]$")

FIXED: Mapping[str, tuple[Any, ...]] = {
    "sd_checkpoint_hash": ("",),
    "sd_vae": ("Automatic", "None", ""),
    "sd_hypernetwork": ("None", ""),
    "sd_lora": ("None", ""),
    "samples_format": ("png",),
    "enable_pnginfo": (True,),
    "randn_source": ("CPU",),
    "eta_ddim": (0,),
    "eta_ancestral": (1,),
    "eta_noise_seed_delta": (0,),
    "img2img_fix_steps": (False,),
    "img2img_color_correction": (False,),
    "initial_noise_multiplier": (1,),
    "inpainting_mask_weight": (1,),
    "face_restoration_model": ("None", ""),
    "upscaler_for_img2img": ("None", ""),
    "live_previews_enable": (True,),
    "forge_additional_modules": ([],),
}
"""Settings that are as they are here, and the values that say so; the first one is shown."""

HIDDEN = frozenset({"forge_additional_modules"})
"""Not shown: clients would take the server for another program."""


class Skipping(Options):
    """How CLIP's layers are counted: 1 leaves none out."""

    CLIP_stop_at_last_layers: Count = Field(1, ge=1, le=12)


@dataclass(frozen=True)
class Chosen:
    """What a caller has set; without a model it is the host's own."""

    model: str | None = None
    clip: int = 1


def known_model(host: Host, name: str) -> ModelEntry:
    """The listed model of a name, title or file name; `UnknownName` lists the legal ones."""
    wanted, models = HASHED.sub("", name.strip()), host.models()
    found = [model for model in models if wanted == model.name]
    found += [model for model in models if wanted == model.path.name]
    if not found:
        raise UnknownName("model", name, [model.name for model in models])
    return found[0]


def current_model(host: Host, chosen: Chosen) -> str:
    """The name of the model that a call gets; "" where none is the default."""
    if chosen.model is not None:
        return chosen.model
    default = host.hook.find_model(ref=host.config.model)
    return next((model.name for model in host.models() if model.path == default), "")


def current(host: Host, chosen: Chosen) -> Mapping[str, Any]:
    """All settings with their values."""
    fixed = {name: legal[0] for name, legal in FIXED.items() if name not in HIDDEN}
    return {MODEL: current_model(host, chosen), CLIP: chosen.clip, **fixed}


def changed(host: Host, chosen: Chosen, settings: Mapping[str, Any]) -> Chosen:
    """What is chosen after `settings`; raises `InvalidRequest` for one that is unknown or cannot be so."""
    for name, value in settings.items():
        if name == MODEL and value:
            chosen = replace(chosen, model=_model(host, chosen, value))
        elif name == CLIP and value is not None:
            found = parsed(Skipping, {CLIP: value}, where="settings: ")
            chosen = replace(chosen, clip=found.CLIP_stop_at_last_layers)
        else:
            _check_fixed(name, value)
    return chosen


def _model(host: Host, chosen: Chosen, value: Any) -> str | None:
    """The named model; none stays none where the host's own is named."""
    if not isinstance(value, str):
        raise InvalidRequest(f"the setting {MODEL} is a name")
    if chosen.model is None and value == current_model(host, chosen):
        return chosen.model
    return known_model(host, value).name


def _check_fixed(name: str, value: Any) -> None:
    if name not in FIXED and name not in (MODEL, CLIP):
        known = ", ".join(sorted({MODEL, CLIP, *FIXED} - HIDDEN))
        raise InvalidRequest(f"unknown setting {ascii(name)[:80]}; known: {known}")
    if value not in (None, *FIXED.get(name, ("",))):
        raise InvalidRequest(f"the setting {name} is {FIXED[name][0]!r} here and cannot be changed")
