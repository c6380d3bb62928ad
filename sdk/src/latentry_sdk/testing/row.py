"""An array that can do what a picture must and no more, in plain Python."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import add, mul, sub, truediv
from typing import NoReturn


@dataclass(frozen=True)
class Row:
    """Numbers side by side, with the arithmetic that `latentry_sdk.Array` promises and nothing beyond it.

    Arithmetic in place raises: on a torch tensor it would change the caller's picture.
    """

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> "Row":
        """A row of any iterable's numbers."""
        return cls(tuple(values))

    def map(self, function: Callable[[float], float]) -> "Row":
        """A row of what `function` makes of each number."""
        return Row(tuple(map(function, self.values)))

    def __add__(self, other: "Operand", /) -> "Row":
        return self._with(other, add)

    def __radd__(self, other: "Operand", /) -> "Row":
        return self._with(other, lambda mine, theirs: theirs + mine)

    def __sub__(self, other: "Operand", /) -> "Row":
        return self._with(other, sub)

    def __rsub__(self, other: "Operand", /) -> "Row":
        return self._with(other, lambda mine, theirs: theirs - mine)

    def __mul__(self, other: "Operand", /) -> "Row":
        return self._with(other, mul)

    def __rmul__(self, other: "Operand", /) -> "Row":
        return self._with(other, mul)

    def __truediv__(self, other: "Operand", /) -> "Row":
        return self._with(other, truediv)

    def __iadd__(self, other: "Operand", /) -> NoReturn:
        raise TypeError("arithmetic in place changes the caller's picture: write x = x + y")

    __isub__ = __imul__ = __itruediv__ = __iadd__

    def _with(self, other: "Operand", operate: Callable[[float, float], float]) -> "Row":
        if isinstance(other, Row):
            return Row(tuple(operate(*pair) for pair in zip(self.values, other.values, strict=True)))
        return Row(tuple(operate(value, other) for value in self.values))


Operand = Row | float
