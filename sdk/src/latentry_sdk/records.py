"""Where a picture's file keeps what is said of how it was made. Callers depend on Pillow."""

from collections.abc import Mapping
from typing import Any

from latentry_sdk.opening import decoding, opened

PARAMETERS, DOCUMENT = "parameters", "latentry"
"""The names of the two records: the text that other programs read, and our own JSON."""

USER_COMMENT, IMAGE_DESCRIPTION, EXIF_IFD = 0x9286, 0x010E, 0x8769
UNICODE = b"UNICODE\x00"
OWN_SEGMENT = b"latentry\x00"
"""How a JPEG's application segments of ours begin."""


def read_texts(data: bytes, name: str, max_pixels: int) -> Mapping[str, str]:
    """The texts in a picture's file by name: a PNG's chunks, or both records of a JPEG or WebP.

    `name` is what errors call the picture; `InvalidInput` where it is none, or has more than `max_pixels`.
    """
    with decoding(name):
        picture: Any = opened(data, name, max_pixels)
        if picture.format == "PNG":
            return {str(key): str(text) for key, text in picture.text.items()}
        exif = picture.getexif()
        found = {
            PARAMETERS: _comment(exif.get_ifd(EXIF_IFD).get(USER_COMMENT)),
            DOCUMENT: _joined(getattr(picture, "applist", ())) or _described(exif.get(IMAGE_DESCRIPTION)),
        }
        return {key: text for key, text in found.items() if text is not None}


def _described(text: Any) -> str | None:
    """The description, unless it is a camera's or a photographer's."""
    return text if isinstance(text, str) and text.startswith(f'{{"{DOCUMENT}"') else None


def _joined(segments: Any) -> str | None:
    parts = [part.removeprefix(OWN_SEGMENT) for _, part in segments if part.startswith(OWN_SEGMENT)]
    return b"".join(parts).decode() if parts else None


def _comment(raw: Any) -> str | None:
    if not isinstance(raw, bytes) or len(raw) < len(UNICODE):
        return None
    text = raw[len(UNICODE) :]
    return text.decode("utf-16-be" if raw.startswith(UNICODE) else "utf-8", "replace")
