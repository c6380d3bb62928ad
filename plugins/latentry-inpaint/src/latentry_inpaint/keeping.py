"""Denoisers that give back the picture's own latents where a mask leaves them."""

from typing import Any

from latentry_sdk import Denoise, ModelRange, X, timestep_at
from latentry_sdk.noising import noised


def keep_known(
    inner: Denoise[X], *, mask: X, known: X, noise: X, space: str = "ve", pure_start: float | None = None
) -> Denoise[X]:
    """A denoiser that paints where `mask` is 1 and gives `known` where it is 0.

    It shows `inner` the known latents under their own noise outside the mask and takes back what it makes of
    them. This equals putting them back after each step as diffusers does, for a hard mask and a solver of one
    step such as Euler or DDIM: x' = m x' + (1 - m)(known + sigma' n).
    At the level `pure_start` nothing is known yet: `x` is noise alone, and diffusers shows it as it is.
    """

    def denoise(x: X, sigma: float) -> X:
        if sigma != pure_start:
            x = mask * x + (1 - mask) * noised(known, noise, sigma, space=space)
        return mask * inner(x, sigma) + (1 - mask) * known

    return denoise


def graded(
    inner: Denoise[X], *, mask: Any, known: X, noise: X, levels: ModelRange, first: float
) -> Denoise[X]:
    """Differential diffusion, arXiv:2306.00950: a grey is kept until the noise has fallen to its share.

    The share is that of the training timestep of `first`, the level that sampling starts from.
    """
    start = timestep_at(levels, first)

    def denoise(x: X, sigma: float) -> X:
        remaining = min(timestep_at(levels, sigma) / start, 1) if start else 1
        now: X = painted_at(mask, remaining)
        return keep_known(inner, mask=now, known=known, noise=noise, space=levels.space)(x, sigma)

    return denoise


def painted_at(mask: Any, remaining: float) -> Any:
    """1 where a lifted mask (see `masks.lifted`) is painted while so much of the noise remains, else 0.

    An odd grey g is 0.5 + g / 510 there, an even one counts as g - 1: painted where g / 255 >= `remaining`.
    """
    return (mask >= 0.5 + remaining / 2) * 1.0
