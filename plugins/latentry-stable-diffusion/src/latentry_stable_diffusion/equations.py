"""From what the UNet gives to the clean latents: its parameterisation, and guidance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def epsilon(x: "Tensor", output: "Tensor", sigma: float) -> "Tensor":
    """x0 = x - sigma eps."""
    return x - sigma * output


def velocity(x: "Tensor", output: "Tensor", sigma: float) -> "Tensor":
    """x0 = x / (sigma^2 + 1) - v sigma / sqrt(sigma^2 + 1), arXiv:2202.00512."""
    return x / (sigma**2 + 1) - output * (sigma / sqrt(sigma**2 + 1))


CLEAN: Mapping[str, Callable[["Tensor", "Tensor", float], "Tensor"]] = {
    "epsilon": epsilon,
    "v_prediction": velocity,
}


@dataclass(frozen=True)
class Guidance:
    """out = u + g (c - u), from the rows u and c for the negative prompt and the prompt, arXiv:2207.12598.

    With three rows, out = u + g (c1 - u) + g2 (c - c1), where c1 has the prompt for the first text encoder
    only: the effect of each encoder is scaled by itself, and for g2 = g it is the plain guidance.
    """

    scales: tuple[float, ...]

    def __call__(self, rows: "Tensor") -> "Tensor":
        """(images, rows, channels, height, width) to (images, channels, height, width)."""
        out = rows[:, 0]
        for index in range(rows.shape[1] - 1):
            out = out + self.scales[index] * (rows[:, index + 1] - rows[:, index])
        return out
