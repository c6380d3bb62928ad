"""The roles encode_image and decode: pictures to latents and back, by diffusers' rules."""

from typing import TYPE_CHECKING

from latentry_sdk import (
    IMAGES,
    JOB,
    KNOWN,
    LATENTS,
    MASK,
    MASK_LATENTS,
    MASKED_LATENTS,
    PLACED,
    SOURCE,
    InvalidModel,
    Placed,
    State,
)
from latentry_stable_diffusion.details import Details

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


def encode_image(state: State) -> State:
    """The latents of the source and of the masked source, and the mask at their size, still soft.

    Without a mask all may change, so the masked source is grey.
    """
    import torch
    from torch.nn.functional import interpolate

    details, placed = Details.of(state[JOB]), state[PLACED]
    home = placed["unet"].home
    source = to_pixels(state[SOURCE])
    known = encode(source, placed["vae_encoder"], details).to(home)
    mask = to_mask(state[MASK]) if MASK in state else torch.ones_like(source[:, :1])
    masked = encode(source * (mask < 0.5), placed["vae_encoder"], details).to(home)
    small = interpolate(mask, size=known.shape[-2:])
    state = state.put(KNOWN, known)
    return state.put(MASK_LATENTS, small.to(home)).put(MASKED_LATENTS, masked)


def decode(state: State) -> State:
    """The pictures of the latents, one at a time to need less memory."""
    job, latents, decoder = state[JOB], state[LATENTS], state[PLACED]["vae_decoder"]
    details = Details.of(job)
    _reject_nan(latents, "latents", None)
    pictures = []
    for i in range(len(latents)):
        job.check_cancelled()
        pixels = decoder(unscaled(latents[i : i + 1].float(), details).to(decoder.home))
        _reject_nan(pixels, "pixels", "place vae_decoder in float32" if details.force_upcast else None)
        pictures.append(to_picture(pixels[0]))
    return state.put(IMAGES, tuple(pictures))


def encode(pixels: "Tensor", encoder: Placed, details: Details) -> "Tensor":
    """The scaled latents of pixels in -1 … 1: the posterior's mean, so the same at each call."""
    latents = encoder(pixels.to(encoder.home)).float()
    mean, std = _moments(latents, details)
    scaled: Tensor = (latents - mean) * details.scaling_factor / std
    return scaled


def unscaled(latents: "Tensor", details: Details) -> "Tensor":
    """The inverse of the scaling that `encode` does."""
    mean, std = _moments(latents, details)
    return latents * std / details.scaling_factor + mean


def to_pixels(picture: "Image") -> "Tensor":
    """An RGB picture as (1, 3, height, width) in -1 … 1."""
    import numpy as np
    import torch

    values = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(values).permute(2, 0, 1)[None] * 2 - 1


def to_mask(picture: "Image") -> "Tensor":
    """An L picture as (1, 1, height, width) in 0 … 1."""
    import numpy as np
    import torch

    return torch.from_numpy(np.asarray(picture.convert("L"), dtype=np.float32) / 255)[None, None]


def to_picture(pixels: "Tensor") -> "Image":
    """(3, height, width) in -1 … 1 as an RGB picture."""
    from PIL import Image

    bright = (pixels.float() / 2 + 0.5).clamp(0, 1)
    return Image.fromarray((bright * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy())


def _moments(latents: "Tensor", details: Details) -> "tuple[Tensor, Tensor]":
    """The latents' configured mean and deviation, 0 and 1 where there are none: (1, channels, 1, 1)."""
    mean = details.latents_mean or (0.0,) * details.latent_channels
    std = details.latents_std or (1.0,) * details.latent_channels
    return latents.new_tensor(mean).view(1, -1, 1, 1), latents.new_tensor(std).view(1, -1, 1, 1)


def _reject_nan(values: "Tensor", called: str, fix: str | None) -> None:
    if not values.isfinite().all():
        raise InvalidModel(f"the model gave NaN or infinite {called}", fix=fix)
