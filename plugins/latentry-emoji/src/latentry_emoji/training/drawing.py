"""Draw a scene as pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from latentry_emoji.training.artwork import Artwork
from latentry_emoji.training.backgrounds import draw_background
from latentry_emoji.training.scenes import Placed, Scene


def draw(scene: Scene, artwork: Artwork, side: int) -> Image.Image:
    """The scene as an RGB picture of side × side pixels."""
    pixels = draw_background(scene.background, side)
    picture = Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
    for placed in scene.objects:
        _paste(picture, placed, artwork[placed.name])
    return picture


def _paste(picture: Image.Image, placed: Placed, drawn: Image.Image) -> None:
    size = max(round(placed.size * picture.width), 1)
    left = round(placed.x * picture.width - size / 2)
    top = round(placed.y * picture.height - size / 2)
    small = drawn.resize((size, size), Image.Resampling.LANCZOS)
    picture.paste(small, (left, top), small)
