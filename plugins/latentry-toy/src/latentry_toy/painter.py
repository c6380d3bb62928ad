"""The toy's model: a painter that knows a few patterns, and its exact denoiser."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import inf
from pathlib import Path

from latentry_sdk import Component, Denoise, Detected, InvalidModel, ModelHeader, ModelRange, Plan
from latentry_sdk.evaluations import evaluations
from latentry_toy.grid import SIDE, Grid

MODEL = Path(__file__).parent / "model"
INK = 0.9
"""How white the pattern is, and how black the rest: no whole number, so that a quantizer has to round it."""

PATTERNS: Mapping[str, Callable[[int, int], bool]] = {
    "blank": lambda _x, _y: False,
    "cross": lambda x, y: x in (3, 4) or y in (3, 4),
    "left": lambda x, _y: x < 4,
    "ring": lambda x, y: 4 <= (x - 3.5) ** 2 + (y - 3.5) ** 2 <= 13,
    "top": lambda _x, y: y < 4,
}


@dataclass(frozen=True)
class Painter:
    """Called with the name of a pattern, gives its picture; the weights are the pictures."""

    weights: Mapping[str, tuple[float, ...]]

    def __call__(self, pattern: str) -> Grid:
        """The 8 × 8 picture of a known pattern."""
        return Grid(self.weights[pattern])


@dataclass(frozen=True)
class SeededNoise:
    """Unit normal noise from one generator an image."""

    generators: Sequence[random.Random]
    first: Grid

    def initial(self) -> Grid:
        """The noise the job starts from."""
        return self.first

    def between(self, _now: float, _nxt: float) -> Grid:
        """The next noise of every image."""
        return draw(self.generators)


def seeded_noise(seeds: Sequence[int]) -> SeededNoise:
    """Noise for these seeds; image i depends on seed i alone."""
    generators = [random.Random(seed) for seed in seeds]
    return SeededNoise(generators, draw(generators))


def draw(generators: Sequence[random.Random]) -> Grid:
    """One picture of unit normal values from each generator."""
    return Grid(tuple(one.gauss(0, 1) for one in generators for _ in range(SIDE * SIDE)))


def detect(header: ModelHeader) -> Detected | None:
    """A folder whose `model_index.json` names a ToyPainter."""
    if header.index.get("_class_name") != "ToyPainter":
        return None
    levels = ModelRange(tuple(0.01 * 1.08**t for t in range(100)))
    return Detected(
        variant="toy",
        components={"painter": len(PATTERNS) * SIDE * SIDE},
        model_range=levels,
        size=(SIDE, SIDE),
        multiple=SIDE,
        sampler="toy_euler",
        scheduler="toy_even",
        details={"spread": _spread(header)},
    )


def _spread(header: ModelHeader) -> float:
    """How far pictures are from their pattern: a positive number of the checkpoint."""
    spread = header.index.get("spread")
    if not isinstance(spread, float) or not 0 < spread < inf:
        raise InvalidModel(f"{header.path.name}: its spread is no positive number")
    return spread


def operations(plan: Plan, _part: str) -> int:
    """Five for each value of a picture whenever the sampler asks for it, as `gaussian_denoiser` has them."""
    return 5 * SIDE * SIDE * plan.request.batch * evaluations(plan)


def load(_header: ModelHeader, _detected: Detected) -> Mapping[str, Component]:
    """The painter, with a picture for each pattern."""
    weights = {
        name: tuple(INK if inside(x, y) else -INK for y in range(SIDE) for x in range(SIDE))
        for name, inside in PATTERNS.items()
    }
    blank = Component("painter", "toy", Painter({}), lambda: ("blank",), lambda: "")
    return {"painter": with_weights(blank, weights)}


def with_weights(component: Component, weights: Mapping[str, tuple[float, ...]]) -> Component:
    """The component as it is with other weights, and so another digest."""
    digest = sha256(repr(sorted(weights.items())).encode()).hexdigest()
    return replace(component, module=Painter(weights), digest=lambda: digest)


def gaussian_denoiser(mean: Grid, spread: float) -> Denoise[Grid]:
    """The exact denoiser of pictures that are normal around `mean`: (s² x + σ² mean) / (s² + σ²)."""

    def denoise(x: Grid, sigma: float) -> Grid:
        kept, seen = spread**2, sigma**2
        return (x * kept + mean * seen) / (kept + seen)

    return denoise
