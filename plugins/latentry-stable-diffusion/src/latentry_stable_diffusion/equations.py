"""From what the UNet gives to the clean latents: its parameterisation, and guidance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from latentry_sdk.guidance import NEGATIVE, PROMPT, Moment

if TYPE_CHECKING:
    from torch import Tensor

FIRST = "first"
"""The row for `guidance_2`: the prompt for the first text encoder, the negative prompt for the others."""


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


OWN_ROWS = (NEGATIVE, FIRST, PROMPT)
"""The rows that the family itself asks for, in order."""


@dataclass(frozen=True)
class Guidance:
    """out = u + g (c - u), from the rows u and c for the negative prompt and the prompt, arXiv:2207.12598.

    With three rows, out = u + g (c1 - u) + g2 (c - c1), where c1 has the prompt for the first text encoder
    only: the effect of each encoder is scaled by itself, and for g2 = g it is the plain guidance.
    """

    scales: tuple[float, ...]

    def __call__(self, rows: "Mapping[str, Tensor]", _moment: Moment) -> "Tensor":
        """Rows of (images, channels, height, width) to one; the prompt's where there is no negative."""
        out, *others = own = [rows[name] for name in OWN_ROWS if name in rows]
        for scale, above, below in zip(self.scales, others, own, strict=False):
            out = out + scale * (above - below)
        return out
