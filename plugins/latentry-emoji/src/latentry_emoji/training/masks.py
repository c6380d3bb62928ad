"""Choose what part of a picture the model is to fill in."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentry_emoji.training.scenes import Scene

Mask = np.ndarray[Any, np.dtype[np.bool_]]

FULL_SHARE = 0.5
AROUND_SHARE = 0.3


def random_mask(generator: np.random.Generator, scene: Scene, side: int) -> Mask:
    """A (side, side) mask, true where to paint: everything, around one object, or any box."""
    choice = generator.random()
    if choice < FULL_SHARE:
        return np.ones((side, side), np.bool_)
    if choice < FULL_SHARE + AROUND_SHARE:
        return _around_object(generator, scene, side)
    return _any_box(generator, side)


def box_mask(box: tuple[float, float, float, float], side: int) -> Mask:
    """A (side, side) mask of a box given as left, top, right, bottom in fractions of the side."""
    left, top, right, bottom = (int(np.clip(round(edge * side), 0, side)) for edge in box)
    mask = np.zeros((side, side), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def _around_object(generator: np.random.Generator, scene: Scene, side: int) -> Mask:
    left, top, right, bottom = scene.objects[generator.integers(len(scene.objects))].box
    margins = generator.uniform(0.01, 0.12, 4)
    return box_mask((left - margins[0], top - margins[1], right + margins[2], bottom + margins[3]), side)


def _any_box(generator: np.random.Generator, side: int) -> Mask:
    width, height = generator.uniform(0.2, 0.8, 2)
    left, top = generator.uniform(0, 1 - width), generator.uniform(0, 1 - height)
    return box_mask((left, top, left + width, top + height), side)
