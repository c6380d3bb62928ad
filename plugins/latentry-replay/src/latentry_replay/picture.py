"""A picture file as both commands take it in: its bytes, and the texts inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from latentry_sdk import Host, InvalidInput
from latentry_sdk.records import read_texts
from latentry_sdk.sources import load


@dataclass(frozen=True)
class Picture:
    """A file that may come from anyone; `max_pixels` is what the host allows to decode."""

    path: Path
    data: bytes
    texts: Mapping[str, str]
    max_pixels: int

    @classmethod
    def read(cls, path: Path, host: Host) -> Self:
        """The picture of this file; `InvalidInput` where it is none, or too large."""
        data, limit = load(path, "the picture"), int(host.config.max_megapixels * 1e6)
        if not isinstance(data, bytes):
            raise InvalidInput("the picture is no file")
        return cls(path, data, read_texts(data, "the picture", limit), limit)
