"""Get the bytes of an input, from wherever a request may name them, and never more than allowed."""

import base64
import binascii
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry_sdk import InvalidInput

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 64 << 20
DATA_URL = re.compile(r"data:[^,;]{0,100}(?:;[^,;]{0,100}){0,4};base64,", re.IGNORECASE)


def load(given: Any, name: str) -> "bytes | Image":
    """The file's bytes, or the PIL image itself; `InvalidInput` for what is neither, too big or no file."""
    if isinstance(given, str | Path):
        return _file(given, name)
    if isinstance(given, bytes | bytearray | memoryview):
        return _within(bytes(given), name)
    if type(given).__module__.partition(".")[0] == "PIL":
        image: Image = given
        return image
    raise InvalidInput(f"{name} is a {type(given).__name__}", fix="give a path, bytes or a PIL image")


def from_base64(text: str, name: str) -> bytes:
    """The bytes of base64, with or without line breaks and a `data:` prefix, whose type is not believed.

    Raises `InvalidInput` for anything else, an address among it: nothing is fetched.
    """
    prefix = DATA_URL.match(text)
    try:
        data = base64.b64decode("".join(text[prefix.end() if prefix else 0 :].split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidInput(f"{name} is no base64", fix="send the file's bytes in base64") from exc
    if not data:
        raise InvalidInput(f"{name} is empty", fix="send the file's bytes in base64")
    return _within(data, name)


def digest(data: "bytes | Image") -> str:
    """What is the same only for the same bytes, or for the same pixels of a PIL image."""
    content = data if isinstance(data, bytes) else repr((data.mode, data.size)).encode() + data.tobytes()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest_of(given: Any) -> str | None:
    """The digest of an input as a request names it; None if it is not there any more."""
    try:
        return digest(load(given, "input"))
    except InvalidInput:
        return None


def _file(given: str | Path, name: str) -> bytes:
    shown = f"{str(given)[:200]!a}"
    try:
        handle = os.open(given, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):  # a pipe or device may never end
                raise InvalidInput(f"{name} {shown} is no file")
            return _within(file.read(MAX_BYTES + 1), name)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise InvalidInput(f"{name} cannot be read from {shown}: {reason}") from exc


def _within(data: bytes, name: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{name} is larger than {MAX_BYTES >> 20} MiB")
    return data
