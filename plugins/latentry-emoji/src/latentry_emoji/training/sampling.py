"""Choose scenes at random, reproducibly, and keep some combinations out of training."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from latentry_emoji.training.backgrounds import PHOTOS
from latentry_emoji.training.scenes import (
    COLOURS,
    RELATIONS,
    TEXTURES,
    Background,
    Kind,
    Place,
    Placed,
    Scene,
)

NAMED_SHARE = 0.9
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Mixture:
    """How often each kind of background and each number of objects occurs, as shares of one."""

    kinds: tuple[tuple[Kind, float], ...]
    pairs: float


DRAWING = Mixture(
    (("plain", 0.64), ("gradient", 0.1), ("two-tone", 0.1), ("texture", 0.08), ("photo", 0.08)), 0.35
)
ENCODING = Mixture(
    (("plain", 0.3), ("gradient", 0.15), ("two-tone", 0.2), ("texture", 0.15), ("photo", 0.2)), 0.35
)


def held_out(combination: tuple[str, str, Place]) -> bool:
    """Whether training never sees this (concept, background, place): two of the twelve colours each time."""
    name, background, place = combination
    if background not in COLOURS:
        return False
    first = zlib.crc32(f"{name}/{place}".encode()) % len(COLOURS)
    return list(COLOURS).index(background) in (first, (first + 5) % len(COLOURS))


def training_scene(
    generator: np.random.Generator, names: tuple[str, ...], mixture: Mixture = DRAWING
) -> Scene:
    """A random scene none of whose combinations is held out."""
    while True:
        scene = random_scene(generator, names, mixture)
        if not any(map(held_out, scene.combinations)):
            return scene


def held_out_scene(
    generator: np.random.Generator, names: tuple[str, ...], mixture: Mixture = DRAWING
) -> Scene:
    """A random scene with a held-out combination, or over the part of a photo that training never sees."""
    while True:
        scene = random_scene(generator, names, mixture)
        if scene.background.kind == "photo":
            return replace(scene, background=replace(scene.background, held_out=True))
        if any(map(held_out, scene.combinations)):
            return replace(scene, background_named=True)


def random_scene(generator: np.random.Generator, names: tuple[str, ...], mixture: Mixture) -> Scene:
    """A random scene; names are drawn evenly."""
    background = _background(generator, mixture)
    named = bool(generator.random() < NAMED_SHARE)
    if generator.random() < mixture.pairs:
        first, second = generator.choice(len(names), 2, replace=False)
        return pair(
            generator, (names[first], names[second]), _any(generator, tuple(RELATIONS)), background, named
        )
    return alone(generator, names[generator.integers(len(names))], background, named)


def alone(generator: np.random.Generator, name: str, background: Background, named: bool = True) -> Scene:
    """One object, more than half as wide as the picture, wholly inside it."""
    size = generator.uniform(0.55, 0.9)
    room = (1 - size) / 2
    x, y = 0.5 + generator.uniform(-room, room, 2)
    return Scene((Placed(name, float(x), float(y), float(size)),), background, background_named=named)


def pair(
    generator: np.random.Generator,
    names: tuple[str, str],
    place: Place,
    background: Background,
    named: bool = True,
) -> Scene:
    """Two objects, the first at `place` as seen from the second."""
    sizes = generator.uniform(0.38, 0.47, 2)
    along = np.array([0.25, 0.75]) + generator.uniform(-0.02, 0.02, 2)
    aside = 0.5 + generator.uniform(-0.15, 0.15, 2)
    if place in ("right", "below"):
        along = along[::-1]
    centres = zip(along, aside, strict=True) if place in ("left", "right") else zip(aside, along, strict=True)
    placed = [
        Placed(name, float(x), float(y), float(size))
        for name, (x, y), size in zip(names, centres, sizes, strict=True)
    ]
    return Scene(tuple(placed), background, place, named)


def _background(generator: np.random.Generator, mixture: Mixture) -> Background:
    kinds, shares = zip(*mixture.kinds, strict=True)
    kind: Kind = kinds[generator.choice(len(kinds), p=shares)]
    first, second = (list(COLOURS)[index] for index in generator.choice(len(COLOURS), 2, replace=False))
    seed = int(generator.integers(2**31))
    if kind == "photo":
        return Background(kind, (), _any(generator, tuple(PHOTOS)), seed)
    if kind == "texture":
        return Background(kind, (first,), _any(generator, TEXTURES), seed)
    return Background(kind, (first,) if kind == "plain" else (first, second), "", seed)


def _any(generator: np.random.Generator, choices: tuple[Choice, ...]) -> Choice:
    return choices[int(generator.integers(len(choices)))]
