"""How far a picture is from another."""

import io
from dataclasses import dataclass

EQUAL, CLOSE = 3, 4.0
"""Of 255: the largest difference of pictures that are the same but for rounding, and the mean one of those
that are alike."""


@dataclass(frozen=True)
class Difference:
    """Of two pictures' values, of 255: the largest and the mean one."""

    largest: int
    mean: float

    @property
    def word(self) -> str:
        """Whether it is the same picture: "yes", "close" or "no"."""
        return "yes" if self.largest <= EQUAL else "close" if self.mean <= CLOSE else "no"


def difference(data: bytes, other: bytes) -> Difference:
    """Of two files of pictures; the whole range where their sizes differ."""
    import numpy as np
    from PIL import Image

    found = [np.asarray(Image.open(io.BytesIO(each)).convert("RGB"), np.int16) for each in (data, other)]
    if found[0].shape != found[1].shape:
        return Difference(255, 255.0)
    apart = np.abs(found[0] - found[1])
    return Difference(int(apart.max()), float(apart.mean()))
