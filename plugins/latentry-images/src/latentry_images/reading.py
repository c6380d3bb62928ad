"""Open pictures that nobody vouches for: size before bytes, pixels before decoding, few formats."""

import io
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from latentry_sdk import InvalidInput

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
MAX_BYTES = 64 << 20


def read_image(given: Any, name: str, max_pixels: int) -> Image.Image:
    """A picture from a path, bytes or PIL: RGB or RGBA, upright; 16 bits become 8."""
    picture = _decoded(given, name, max_pixels)
    transparent = "A" in picture.getbands() or "transparency" in picture.info
    return _eight_bits(picture).convert("RGBA" if transparent else "RGB")


def read_mask(given: Any, name: str, max_pixels: int) -> Image.Image:
    """A mask from a path, bytes or PIL: mode L, 255 = change; what is transparent counts as black."""
    picture = read_image(given, name, max_pixels)
    if picture.mode == "RGBA":
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture)
    return picture.convert("L")


def _decoded(given: Any, name: str, max_pixels: int) -> Image.Image:
    if isinstance(given, Image.Image):
        _check_size(given, name, max_pixels)
        return ImageOps.exif_transpose(given)
    data = _bytes(given, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata: the pixels decide
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_size(picture, name, max_pixels)
            picture.load()
            return ImageOps.exif_transpose(picture)
    except InvalidInput:
        raise
    except UnidentifiedImageError as exc:
        raise InvalidInput(f"{name} is no picture", fix=f"use one of {', '.join(FORMATS)}") from exc
    except Exception as exc:  # decoders raise what they like on damaged files
        raise InvalidInput(f"{name} cannot be decoded: {' '.join(str(exc).split())[:200]}") from exc


def _bytes(given: Any, name: str) -> bytes:
    if isinstance(given, bytes):
        if len(given) > MAX_BYTES:
            raise InvalidInput(f"{name} is larger than {MAX_BYTES >> 20} MiB")
        return given
    if not isinstance(given, str | Path):
        raise InvalidInput(f"{name} is a {type(given).__name__}", fix="give a path, bytes or a PIL image")
    try:
        with Path(given).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise InvalidInput(f"{name} cannot be read from {str(given)[:200]!a}: {reason}") from exc
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{name} is larger than {MAX_BYTES >> 20} MiB")
    return data


def _check_size(picture: Image.Image, name: str, max_pixels: int) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise InvalidInput(f"{name} is {width} × {height} pixels")
    if width * height > max_pixels:
        raise InvalidInput(f"{name} is {width} × {height}, more than {max_pixels / 1e6:g} megapixels")
    if getattr(picture, "n_frames", 1) > 1:
        raise InvalidInput(f"{name} has several frames or pages", fix="give one still picture")


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        import numpy

        values = numpy.asarray(picture).astype("float64")
        top = 65535.0 if picture.mode != "F" else max(float(values.max(initial=0.0)), 1.0)
        return Image.fromarray((values.clip(0, top) / top * 255 + 0.5).astype("uint8"), mode=None)
    return picture
