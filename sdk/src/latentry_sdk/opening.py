"""Open pictures that nobody vouches for: size before bytes, pixels before decoding, few formats.

A plugin that calls this depends on Pillow.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from latentry_sdk import InvalidInput

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
MAX_SCANS = 100
"""A progressive JPEG has about ten. Each costs a pass over all pixels, and the file only a few bytes."""

TILE_WIDTH, TILE_LENGTH = 322, 323
_one_at_a_time = Lock()


def opened(data: bytes, name: str, max_pixels: int) -> "Image":
    """The picture as far as its header, checked to be one still picture of allowed size."""
    from PIL import Image

    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MAX_SCANS:
        raise InvalidInput(f"{name} is a JPEG of more than {MAX_SCANS} scans")
    picture = Image.open(io.BytesIO(data), formats=FORMATS)
    check_size(picture.size, name, max_pixels)
    tags = getattr(picture, "tag_v2", {})
    check_size((tags.get(TILE_WIDTH, 1), tags.get(TILE_LENGTH, 1)), f"a tile of {name}", max_pixels)
    if picture.format in FORMATS and getattr(picture, "is_animated", False):  # a phone's MPO has a preview
        raise InvalidInput(f"{name} has several frames or pages", fix="give one still picture")
    return picture


def check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Raise `InvalidInput` for no pixels or for too many."""
    width, height = size
    if width < 1 or height < 1:
        raise InvalidInput(f"{name} is {width} × {height} pixels")
    if width * height > max_pixels:
        raise InvalidInput(f"{name} is {width} × {height}, more than {max_pixels / 1e6:g} megapixels")


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Make every failure of a decoder one line; keep its warnings of damaged metadata to itself.

    Python's warning filters are the process's, hence one at a time.
    """
    from PIL import UnidentifiedImageError

    try:
        with _one_at_a_time, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InvalidInput:
        raise
    except UnidentifiedImageError as exc:
        raise InvalidInput(f"{name} is no picture", fix=f"use one of {', '.join(FORMATS)}") from exc
    except Exception as exc:  # decoders raise what they like on damaged files
        reason = ascii(" ".join(str(exc).split())[:200])[1:-1] or type(exc).__name__
        raise InvalidInput(f"{name} cannot be decoded: {reason}") from exc
