"""Schedules that choose training timesteps and visit the noise levels the model had there.

A timestep may be fractional: between two trained levels lies their interpolation.
"""

from collections.abc import Iterable
from math import cos, pi

from latentry_schedules.falling import falling, fractions
from latentry_sdk import ModelRange, sigma_at


def normal(steps: int, model_range: ModelRange, /) -> tuple[float, ...]:
    """Evenly spaced in time, both ends included; diffusers calls it "linspace"."""
    return _evenly(steps, max(steps - 1, 1), model_range)


def simple(steps: int, model_range: ModelRange, /) -> tuple[float, ...]:
    """Every so many of the trained levels from the highest down, as ComfyUI; `normal` if too few."""
    levels = model_range.sigmas
    if steps > len(levels):
        return normal(steps, model_range)
    return falling(levels[-1 - i * len(levels) // steps] for i in range(steps))


def sgm_uniform(steps: int, model_range: ModelRange, /) -> tuple[float, ...]:
    """Evenly spaced in time without time 0: the spacing of Stability's generative-models."""
    return _evenly(steps, steps, model_range)


def ddim_uniform(steps: int, model_range: ModelRange, /) -> tuple[float, ...]:
    """Timesteps 1, 1 + N // steps, …; diffusers calls it "leading" with `steps_offset=1`.

    With as many steps as levels there is no room for the offset, and it is 0; with more it is `normal`.
    """
    levels = model_range.sigmas
    if steps > len(levels):
        return normal(steps, model_range)
    offset = 0 if steps == len(levels) else 1
    return falling(levels[offset + i * (len(levels) // steps)] for i in reversed(range(steps)))


def cosine(steps: int, model_range: ModelRange, /) -> tuple[float, ...]:
    """Timesteps on half a cosine wave, so close together at both ends."""
    return _at(model_range, ((1 + cos(pi * part)) / 2 for part in fractions(steps)))


def quadratic(steps: int, model_range: ModelRange, /) -> tuple[float, ...]:
    """Timesteps that grow with the square of their index, arXiv:2010.02502 appendix D.2."""
    return _at(model_range, ((1 - part) ** 2 for part in fractions(steps)))


def _evenly(steps: int, gaps: int, model_range: ModelRange) -> tuple[float, ...]:
    """The levels at the first `steps` ends of `gaps` even gaps; exact where a timestep is whole."""
    last = len(model_range.sigmas) - 1
    return falling(sigma_at(model_range, last * (gaps - i) / gaps) for i in range(steps))


def _at(model_range: ModelRange, times: Iterable[float]) -> tuple[float, ...]:
    """The levels at `times`, where 1 is the last trained timestep and 0 the first."""
    last = len(model_range.sigmas) - 1
    return falling(sigma_at(model_range, last * time) for time in times)
