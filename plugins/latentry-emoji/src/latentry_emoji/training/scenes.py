"""Say what a picture shows: its objects, its background, and the caption that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from latentry_emoji.training.concepts import with_article

Colour = tuple[int, int, int]
Kind = Literal["plain", "gradient", "two-tone", "texture", "photo"]
Place = Literal["alone", "left", "right", "above", "below"]

COLOURS: dict[str, Colour] = {
    "white": (250, 250, 250),
    "black": (18, 18, 18),
    "red": (220, 40, 40),
    "green": (50, 170, 75),
    "blue": (48, 104, 224),
    "yellow": (245, 215, 60),
    "orange": (242, 150, 42),
    "purple": (140, 72, 182),
    "pink": (238, 145, 180),
    "gray": (135, 135, 135),
    "brown": (130, 82, 48),
    "cyan": (60, 195, 215),
}
TEXTURES = ("striped", "checkered", "dotted", "noisy")
RELATIONS: dict[Place, str] = {"left": "left of", "right": "right of", "above": "above", "below": "below"}
OPPOSITE: dict[Place, Place] = {"left": "right", "right": "left", "above": "below", "below": "above"}


@dataclass(frozen=True)
class Background:
    """What lies behind the objects.

    `colours` holds names of COLOURS: one for plain and texture, two for gradient and two-tone, none for
    photo. `detail` is the texture or the photo's subject. `seed` picks the direction, the crop and the like;
    `held_out` takes photo crops from the part of the photo that training never sees.
    """

    kind: Kind
    colours: tuple[str, ...] = ()
    detail: str = ""
    seed: int = 0
    held_out: bool = False

    @property
    def key(self) -> str:
        """What a held-out combination is made of: the first colour, or "photo"."""
        return self.colours[0] if self.colours else self.kind

    @property
    def phrase(self) -> str:
        """The words a caption ends with, such as "on a blue background"."""
        if self.kind == "photo":
            return f"on a photo of {self.detail}"
        words = {"gradient": "{} to {} gradient", "two-tone": "{} and {}", "texture": f"{{}} {self.detail}"}
        described = words.get(self.kind, "{}").format(*self.colours)
        return f"on {with_article(described)} background"


@dataclass(frozen=True)
class Placed:
    """A concept at a centre (x, y) with a side length, all as fractions of the picture's side."""

    name: str
    x: float
    y: float
    size: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, as fractions of the picture's side."""
        half = self.size / 2
        return self.x - half, self.y - half, self.x + half, self.y + half


@dataclass(frozen=True)
class Scene:
    """One or two objects over a background; `place` is where the first lies, seen from the second."""

    objects: tuple[Placed, ...]
    background: Background
    place: Place = "alone"
    background_named: bool = True

    @property
    def caption(self) -> str:
        """The scene in words, such as "a red apple left of a banana on a blue background"."""
        subject = with_article(self.objects[0].name)
        if len(self.objects) == 2:
            subject = f"{subject} {RELATIONS[self.place]} {with_article(self.objects[1].name)}"
        return f"{subject} {self.background.phrase}" if self.background_named else subject

    @property
    def combinations(self) -> tuple[tuple[str, str, Place], ...]:
        """The (concept, background, place) of each object; training leaves some combinations out."""
        places = (self.place, OPPOSITE.get(self.place, self.place))
        return tuple(
            (obj.name, self.background.key, place) for obj, place in zip(self.objects, places, strict=False)
        )
