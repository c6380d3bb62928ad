"""The noise levels of well-known models."""

from math import sqrt

from latentry_sdk import ModelRange

LEVELS = 1000


def stable_diffusion_range() -> ModelRange:
    """Stable Diffusion 1, 2 and XL: betas evenly spaced in square root from 0.00085 to 0.012."""
    first, last = sqrt(0.00085), sqrt(0.012)
    kept, sigmas = 1.0, []
    for t in range(LEVELS):
        kept *= 1 - (first + (last - first) * t / (LEVELS - 1)) ** 2
        sigmas.append(sqrt((1 - kept) / kept))
    return ModelRange(tuple(sigmas))


def flow_range() -> ModelRange:
    """A flow model without shift: sigma = 0.001, 0.002 … 1."""
    return ModelRange(tuple((t + 1) / LEVELS for t in range(LEVELS)), "flow")


RANGES = {"ve": stable_diffusion_range, "flow": flow_range}
"""A range for each space."""
