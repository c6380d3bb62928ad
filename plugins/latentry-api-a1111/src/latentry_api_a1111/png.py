"""The texts in a PNG file, read by its bytes: the server decodes no picture."""

import zlib
from collections.abc import Iterator, Mapping

from latentry_sdk import InvalidInput

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LONGEST = 4 << 20
"""Bytes of all texts of a picture together."""


def texts(data: bytes, name: str) -> Mapping[str, str]:
    """The texts by their keywords; of two with one keyword the first.

    PNG, third edition, section 11.3.3. Raises `InvalidInput`, which calls the picture `name`, for what is no
    PNG, is cut off, or has more text than `LONGEST`.
    """
    if not data.startswith(SIGNATURE):
        raise InvalidInput(f"{name} is no PNG", fix="send a PNG picture")
    found: dict[str, str] = {}
    room = LONGEST
    for kind, content in _chunks(data, name):
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            continue
        keyword, _, rest = content.partition(b"\0")
        text = _text(kind, rest, room, name)
        room -= len(text)
        found.setdefault(keyword.decode("latin-1"), text)
    return found


def _chunks(data: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each chunk, up to the end of the picture."""
    place = len(SIGNATURE)
    while True:
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        end = place + 8 + length
        if end + 4 > len(data):
            raise InvalidInput(f"{name} is cut off")
        if kind == b"IEND":
            return
        yield kind, data[place + 8 : end]
        place = end + 4


def _text(kind: bytes, rest: bytes, room: int, name: str) -> str:
    """What follows a keyword: compressed or not, in Latin-1 or UTF-8."""
    if kind == b"tEXt":
        return _inflated(rest, room, name, packed=False).decode("latin-1")
    if kind == b"zTXt":
        return _inflated(rest[1:], room, name, packed=True).decode("latin-1")
    *language, text = rest[2:].split(b"\0", 2)
    if len(language) < 2:
        raise InvalidInput(f"{name} has a text that is cut off")
    return _inflated(text, room, name, packed=rest[:1] == b"\1").decode("utf-8", "replace")


def _inflated(data: bytes, room: int, name: str, *, packed: bool) -> bytes:
    """The bytes, decompressed where they are packed, and never more than there is room for."""
    try:
        data = zlib.decompressobj().decompress(data, room + 1) if packed else data
    except zlib.error as exc:
        raise InvalidInput(f"{name} has a text that cannot be read") from exc
    if len(data) > room:
        raise InvalidInput(f"{name} has more than {LONGEST >> 20} MiB of text")
    return data
