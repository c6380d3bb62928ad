"""Fill what a mask covers with its blurred surroundings."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SATURATION = 4
"""How much opacity grows from level to level: a pixel that one of its four below knows is known."""


def filled(picture: "Image", mask: "Image") -> "Image":
    """An RGB picture whose pixels are smooth under the mask, and where it is black as they were.

    Pull and push, S. Gortler and others, "The Lumigraph", SIGGRAPH 1996, section 3.4: the known pixels are
    averaged in ever smaller pictures, and what is unknown in each comes from the next smaller one.
    """
    from PIL import Image, ImageOps

    level = picture.convert("RGBA")
    level.putalpha(ImageOps.invert(mask))
    levels = [level]
    while max(level.size) > 1:
        level = _halved(level)
        levels.append(level)
    ground = levels.pop()
    ground.putalpha(255)
    for level in reversed(levels):
        ground = ground.resize(level.size, Image.Resampling.BILINEAR)
        ground.alpha_composite(level)
    return ground.convert("RGB")


def _halved(level: "Image") -> "Image":
    """Half the size, each pixel the mean of the known ones under it."""
    width, height = level.size
    half = level.reduce((min(width, 2), min(height, 2)))  # which weighs by opacity
    half.putalpha(half.getchannel("A").point(lambda alpha: min(alpha * SATURATION, 255)))
    return half
