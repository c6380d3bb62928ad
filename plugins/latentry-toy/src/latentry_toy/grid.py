"""Pictures of 8 × 8 floats, one or many, with the arithmetic that samplers need."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Union

from latentry_sdk import InvalidInput

SIDE = 8
PIXELS = SIDE * SIDE
Operand = Union["Grid", float]


@dataclass(frozen=True)
class Grid:
    """A batch of pictures: `values` holds 64 floats for each, row by row, -1 black to 1 white.

    Between two batches of the same size arithmetic is elementwise; one picture meets each of a batch.
    """

    values: tuple[float, ...]

    def __add__(self, other: Operand) -> "Grid":
        return self._each(other, lambda a, b: a + b)

    def __radd__(self, other: float) -> "Grid":
        return self + other

    def __sub__(self, other: Operand) -> "Grid":
        return self._each(other, lambda a, b: a - b)

    def __rsub__(self, other: float) -> "Grid":
        return self * -1.0 + other

    def __mul__(self, other: Operand) -> "Grid":
        return self._each(other, lambda a, b: a * b)

    def __rmul__(self, other: float) -> "Grid":
        return self * other

    def __truediv__(self, other: Operand) -> "Grid":
        return self._each(other, lambda a, b: a / b)

    def pictures(self) -> list[tuple[float, ...]]:
        """The pictures of the batch, 64 floats each."""
        return [self.values[start : start + PIXELS] for start in range(0, len(self.values), PIXELS)]

    def tolist(self) -> list[float]:
        """All numbers, as array libraries give them."""
        return list(self.values)

    def _each(self, other: Operand, operation: Callable[[float, float], float]) -> "Grid":
        if isinstance(other, Grid):
            size = max(len(self.values), len(other.values))
            pairs = zip(_repeated(self.values, size), _repeated(other.values, size), strict=True)
            return Grid(tuple(operation(mine, theirs) for mine, theirs in pairs))
        return Grid(tuple(operation(value, other) for value in self.values))


def as_pgm(picture: Sequence[float]) -> bytes:
    """One picture as a binary PGM file."""
    grey = bytes(min(255, max(0, round((value + 1) * 127.5))) for value in picture)
    return f"P5 {SIDE} {SIDE} 255\n".encode() + grey


def as_text(pgm: bytes) -> str:
    """A PGM file of `as_pgm` drawn with characters; `InvalidInput` when it is no such file."""
    grey = grey_values(pgm)
    rows = (grey[start : start + SIDE] for start in range(0, PIXELS, SIDE))
    return "\n".join("".join(" .:-=+*#%@"[value * 10 // 256] * 2 for value in row) for row in rows)


def grey_values(pgm: bytes) -> bytes:
    """The 64 grey values of a PGM file of 8 × 8 pixels."""
    found = re.fullmatch(rb"P5\s+8\s+8\s+255\s(.{64})", pgm, re.DOTALL)
    if found is None:
        raise InvalidInput("it is no binary PGM picture of 8 × 8 pixels")
    return found[1]


def _repeated(values: tuple[float, ...], length: int) -> tuple[float, ...]:
    return values * (length // PIXELS) if len(values) == PIXELS else values
