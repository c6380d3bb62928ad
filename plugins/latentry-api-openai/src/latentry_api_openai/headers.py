"""Tell pictures apart by their first bytes, whatever their sender calls them."""

import io
import re

import imagesize

from latentry_api_openai.failures import BadParameter

PICTURE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP", re.DOTALL)


def size_of(data: bytes, name: str) -> tuple[int, int]:
    """Width and height of an upright PNG, JPEG or WebP as its header has them; else `BadParameter`."""
    width, height = picture_size(data) if PICTURE.match(data) else (0, 0)
    if width < 1 or height < 1:
        raise BadParameter(name, f"the {name} is no PNG, JPEG or WebP picture")
    return width, height


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height of a picture; -1 where they cannot be found."""
    size: tuple[int, int] = imagesize.get(io.BytesIO(data))
    return size
