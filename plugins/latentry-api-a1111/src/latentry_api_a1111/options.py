"""Fields to options of plugins: (owner, options) pairs, nothing where a field is at its default."""

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_api_a1111.fields import Asked, Img2Img, Txt2Img
from latentry_api_a1111.settings import Chosen, known_model
from latentry_api_a1111.solving import PLAIN, SAME, eta_of, schedule, split
from latentry_sdk import Host, InvalidRequest, SamplerSpec

Owned = Iterator[tuple[str, Mapping[str, Any]]]
"""The options of one owner, and its name."""

STEPWISE = frozenset({"ve", "flow"})
RESIZE = ("fixed", "crop", "fill")
CONTENT = ("fill", "original", "latent_noise", "latent_nothing")


def shared_options(asked: Asked, chosen: Chosen, host: Host) -> Owned:
    """What both kinds of call ask of stages that may be installed."""
    if asked.styles:
        yield "prompt", {"styles": list(asked.styles)}
    if chosen.clip > 1:
        yield "prompt", {"clip_skip": chosen.clip - 1}
    if asked.subseed_strength:
        yield "variation", {"variation_strength": asked.subseed_strength}
    if asked.tiling:
        yield "seamless", {"seamless_x": True, "seamless_y": True}
    if asked.refiner_checkpoint not in ("", "None"):
        model = known_model(host, asked.refiner_checkpoint).name
        yield "refiner", {"refiner": model, "switch_at": asked.refiner_switch_at}


def preview_options(sampler: SamplerSpec, host: Host) -> Owned:
    """Pictures for `GET progress`, where a sampler goes step by step: one of no common space runs whole."""
    if "preview" in host.registry.stages and sampler.spaces & STEPWISE:
        yield "preview", {"preview_every": 1}


def hires_options(asked: Txt2Img, host: Host) -> Mapping[str, Any]:
    """The second pass; what is left out is as in the first."""
    given = {
        "scale": asked.hr_scale,
        "width": asked.hr_resize_x or None,
        "height": asked.hr_resize_y or None,
        "upscaler": "lanczos" if asked.hr_upscaler == "None" else asked.hr_upscaler,
        "strength": asked.denoising_strength,
        "steps": asked.hr_second_pass_steps,
        "exact_steps": True,
        "prompt": asked.hr_prompt or None,
        "negative": asked.hr_negative_prompt or None,
        **_second_solver(asked, host),
    }
    return {name: value for name, value in given.items() if value is not None}


def img2img_options(asked: Img2Img) -> Mapping[str, Any]:
    """How far to change the picture, and how to fit it."""
    return {"strength": asked.denoising_strength, "resize_mode": RESIZE[asked.resize_mode]}


def inpaint_options(asked: Img2Img) -> Mapping[str, Any]:
    """What to change, and from what; the mask is made black and white first."""
    if asked.resize_mode and not asked.inpaint_full_res:
        raise InvalidRequest(
            "resize_mode can only be 0 with a mask over the whole picture", fix="leave it out"
        )
    options = {
        "strength": asked.denoising_strength,
        "content": CONTENT[asked.inpainting_fill],
        "binarise": True,
        "invert": asked.inpainting_mask_invert,
        "mask_blur": asked.mask_blur,
        "full_res": asked.inpaint_full_res,
    }
    return {**options, "padding": asked.inpaint_full_res_padding} if asked.inpaint_full_res else options


def _second_solver(asked: Txt2Img, host: Host) -> Mapping[str, Any]:
    """Sampler and scheduler of the second pass, where they are named."""
    first, levels = split(host, asked.sampler_name or asked.sampler_index, asked.scheduler)
    other = "" if asked.hr_sampler_name.lower() in SAME else asked.hr_sampler_name
    again = "" if asked.hr_scheduler.lower() in SAME else asked.hr_scheduler
    if not (other or again):
        return {}
    sampler, named = split(host, other or first.name, again)
    if not again and named is None:
        named = levels
    options = eta_of(sampler, asked.eta) if sampler is not first else {}
    # what is left out would be as in the first pass, which may have another sampler's schedule
    plain = PLAIN if schedule(first, levels) else None
    given = {"sampler": sampler.name, "scheduler": schedule(sampler, named) or plain}
    return {**given, "sampler_options": options} if options else given
