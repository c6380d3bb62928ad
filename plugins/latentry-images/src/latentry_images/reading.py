"""Decode input pictures to upright ones of 8 bits a channel."""

from typing import TYPE_CHECKING, Any

from latentry_sdk import InvalidInput
from latentry_sdk.opening import check_size, decoding, opened
from latentry_sdk.sources import load

if TYPE_CHECKING:
    from PIL.Image import Image


def read_image(given: Any, name: str, max_pixels: int) -> "Image":
    """A picture from a path, bytes or PIL: RGB or RGBA, upright; 16 bits become 8."""
    with decoding(name):
        picture = _upright(load(given, name), name, max_pixels)
        made = _eight_bits(picture, name).convert("RGBA" if picture.has_transparency_data else "RGB")
        made.info = {}
        return made


def read_mask(given: Any, name: str, max_pixels: int, channel: str = "luminance") -> "Image":
    """A mask from a path, bytes or PIL: mode L, 255 = change.

    By its luminance, where what is transparent counts as black; by its alpha; or "transparent", which is
    255 less alpha. `InvalidInput` for either of these where the picture has no alpha.
    """
    from PIL import Image, ImageOps

    picture = read_image(given, name, max_pixels)
    if channel != "luminance":
        if picture.mode != "RGBA":
            raise InvalidInput(f"{name} has no transparency", fix="save it with an alpha channel")
        alpha = picture.getchannel("A")
        return alpha if channel == "alpha" else ImageOps.invert(alpha)
    if picture.mode == "RGBA":
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture)
    return picture.convert("L")


def _upright(data: "bytes | Image", name: str, max_pixels: int) -> "Image":
    from PIL import ImageOps

    if isinstance(data, bytes):
        picture = opened(data, name, max_pixels)
        ImageOps.exif_transpose(picture, in_place=True)
        return picture
    check_size(data.size, name, max_pixels)
    return ImageOps.exif_transpose(data)


def _eight_bits(picture: "Image", name: str) -> "Image":
    """`picture`, or its grey values of 16 bits scaled to 8."""
    if picture.mode.startswith("I;16"):
        return picture.convert("I").point(lambda value: value * (255 / 65535) + 0.5).convert("L")
    if picture.mode in ("I", "F"):
        raise InvalidInput(f"{name} has 32 bits a channel", fix="save it with 8 or 16 bits")
    return picture
