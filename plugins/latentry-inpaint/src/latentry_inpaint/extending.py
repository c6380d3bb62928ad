"""Outpainting: more canvas on any side, white in the mask."""

from typing import TYPE_CHECKING

from latentry_inpaint.options import InpaintOptions
from latentry_sdk import Job
from latentry_sdk.pictures import check_pixels, extended

if TYPE_CHECKING:
    from PIL.Image import Image


def canvas(picture: "Image", options: InpaintOptions, job: Job) -> "Image":
    """The picture with its edge repeated on the sides that the options extend; opaque there.

    Raises `InvalidInput` for more pixels than the host allows in one job, before it makes them.
    """
    left, top, right, bottom = options.sides
    check_pixels(job, (left + picture.width + right, top + picture.height + bottom))
    wide = extended(picture, left, top, right, bottom)
    if picture.mode == "RGBA" and wide is not picture:
        wide.putalpha(margins(picture.getchannel("A"), options))
    return wide


def margins(mask: "Image", options: InpaintOptions) -> "Image":
    """A picture of mode L with white on the sides that the options extend."""
    from PIL import ImageOps

    return ImageOps.expand(mask, options.sides, 255) if any(options.sides) else mask
