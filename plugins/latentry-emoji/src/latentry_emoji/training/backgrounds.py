"""Draw what lies behind the objects: plain colours, gradients, two tones, textures, crops of photos."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image

from latentry_emoji.training.scenes import COLOURS, Background

Pixels = np.ndarray[Any, np.dtype[Any]]

PHOTOS = {
    "an astronaut": "astronaut.png",
    "a cup of coffee": "coffee.png",
    "a tabby cat": "chelsea.png",
    "a launch tower": "rocket.jpg",
    "distant galaxies": "hubble_deep_field.jpg",
}
"""Photos shipped in scikit-image's wheel: NASA's in the public domain, the cup and the cat under CC0."""
TRAINED_PART = 0.65


def draw_background(background: Background, side: int) -> Pixels:
    """The background as (side, side, 3) values between 0 and 255."""
    generator = np.random.default_rng(background.seed)
    if background.kind == "photo":
        return _photo_crop(background, side, generator)
    colours = [np.array(COLOURS[name], np.float32) for name in background.colours]
    if background.kind == "plain":
        return np.broadcast_to(colours[0], (side, side, 3)).copy()
    if background.kind == "texture":
        return _textured(colours[0], background.detail, side, generator)
    share = _ramp(side, generator)
    if background.kind == "two-tone":
        share = np.clip((share - 0.5) * side + 0.5, 0, 1)
    return np.asarray(colours[0] * (1 - share) + colours[1] * share)


def _ramp(side: int, generator: np.random.Generator) -> Pixels:
    """Values from 0 to 1 along a random direction, (side, side, 1)."""
    across, down = _grid(side)
    angle = generator.uniform(0, 2 * np.pi)
    along = (across - 0.5) * np.cos(angle) + (down - 0.5) * np.sin(angle)
    return np.asarray((along - along.min()) / np.ptp(along), np.float32)[..., None]


def _textured(colour: Pixels, texture: str, side: int, generator: np.random.Generator) -> Pixels:
    strength = generator.uniform(0.15, 0.3) * (-1 if colour.mean() > 100 else 1)
    share = _TEXTURES[texture](side, generator)[..., None] * abs(strength)
    return colour * (1 - share) + (255.0 if strength > 0 else 0.0) * share


def _striped(side: int, generator: np.random.Generator) -> Pixels:
    across, down = _grid(side)
    angle, count = generator.uniform(0, np.pi), generator.uniform(3, 6)
    return _soft_step(np.sin(2 * np.pi * count * (across * np.cos(angle) + down * np.sin(angle))), side)


def _checkered(side: int, generator: np.random.Generator) -> Pixels:
    across, down = _grid(side)
    count, shift = generator.uniform(2, 4), generator.uniform(0, 1)
    return _soft_step(np.sin(2 * np.pi * (count * across + shift)) * np.sin(2 * np.pi * count * down), side)


def _dotted(side: int, generator: np.random.Generator) -> Pixels:
    across, down = _grid(side)
    count, shift = generator.uniform(3, 6), generator.uniform(0, 1)
    waves = np.sin(2 * np.pi * (count * across + shift)) + np.sin(2 * np.pi * count * down)
    return _soft_step(waves - 0.9, side)


def _noisy(side: int, generator: np.random.Generator) -> Pixels:
    coarse = generator.uniform(0, 255, (side // 6, side // 6)).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(smooth, np.float32) / 255


_TEXTURES = {"striped": _striped, "checkered": _checkered, "dotted": _dotted, "noisy": _noisy}


def _grid(side: int) -> tuple[Pixels, Pixels]:
    steps = (np.arange(side, dtype=np.float32) + 0.5) / side
    return steps[None, :], steps[:, None]


def _soft_step(wave: Pixels, side: int) -> Pixels:
    return np.clip(wave * side / 16 + 0.5, 0, 1).astype(np.float32)


def _photo_crop(background: Background, side: int, generator: np.random.Generator) -> Pixels:
    photo = _photo(PHOTOS[background.detail])
    border = int(photo.width * TRAINED_PART)
    left, right = (border, photo.width) if background.held_out else (0, border)
    crop = int(min(right - left, photo.height) * generator.uniform(0.6, 1.0))
    x = left + int(generator.integers(0, right - left - crop + 1))
    y = int(generator.integers(0, photo.height - crop + 1))
    small = photo.resize((side, side), Image.Resampling.LANCZOS, box=(x, y, x + crop, y + crop))
    return np.asarray(small, np.float32)


@cache
def _photo(file_name: str) -> Image.Image:
    """A photo, made smaller once so that crops of it are quick; needs scikit-image's files, not its code."""
    with (files("skimage") / "data" / file_name).open("rb") as stream, Image.open(stream) as picture:
        photo = picture.convert("RGB")
    photo.thumbnail((512, 512))
    return photo
