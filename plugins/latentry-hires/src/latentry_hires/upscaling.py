"""Enlarge pictures or their latents, each image by itself."""

from typing import TYPE_CHECKING

from latentry_sdk.pictures import Size

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

LATENT = {
    "latent": ("bilinear", False),
    "latent_antialiased": ("bilinear", True),
    "latent_bicubic": ("bicubic", False),
    "latent_bicubic_antialiased": ("bicubic", True),
    "latent_nearest": ("nearest", False),
    "latent_nearest_exact": ("nearest-exact", False),
}
"""torch's mode of interpolation for each upscaler of latents, and whether it is antialiased."""


def covering(size: Size, target: Size) -> Size:
    """The smallest size of the aspect of `size`, rounded, that covers `target`."""
    (width, height), (wide, high) = size, target
    if width * high > height * wide:
        return max(round(width * high / height), wide), high
    return wide, max(round(height * wide / width), high)


def larger_latents(latents: "Tensor", size: Size, upscaler: str) -> "Tensor":
    """(batch, channels, height, width) at another (width, height); the middle where the aspect differs."""
    import torch
    from torch.nn.functional import interpolate

    mode, antialias = LATENT[upscaler]
    width, height = covering((latents.shape[-1], latents.shape[-2]), size)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    enlarged = [
        interpolate(image[None], size=(height, width), mode=mode, antialias=antialias) for image in latents
    ]
    return torch.cat(enlarged)[..., top : top + size[1], left : left + size[0]].contiguous()


def larger_picture(picture: "Image", size: Size, upscaler: str) -> "Image":
    """The picture at another size; its middle where the aspect differs."""
    from PIL.Image import Resampling

    width, height = covering(picture.size, size)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    enlarged = picture.resize((width, height), Resampling[upscaler.upper()])
    return enlarged.crop((left, top, left + size[0], top + size[1]))
