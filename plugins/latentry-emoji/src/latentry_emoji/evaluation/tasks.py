"""Choose what a model is asked to draw when it is scored: captions and masks that training never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from latentry_emoji.training.scenes import COLOURS, RELATIONS, Background, Place, Scene

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

PAIR_SHARE = 1 / 3
PHOTO_SHARE = 0.5
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class InpaintingTask:
    """A picture, the box to paint in it (left, top, right, bottom as fractions), and the caption."""

    known: Image.Image
    box: tuple[float, float, float, float]
    name: str
    caption: str

    def painted(self, side: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """The mask, (side, side), true where to paint."""
        from latentry_emoji.training.masks import box_mask

        return box_mask(self.box, side)

    @property
    def mask(self) -> Image.Image:
        """The mask as a black picture that is white where to paint."""
        from PIL import Image

        return Image.fromarray(self.painted(self.known.width).astype("uint8") * 255)


def benchmark_scenes(
    count: int = 300, *, names: tuple[str, ...] | None = None, pair_share: float = PAIR_SHARE, seed: int = 0
) -> list[Scene]:
    """Held-out scenes on plain backgrounds, every concept about equally often; pairs come last."""
    import numpy as np

    from latentry_emoji.training import concepts
    from latentry_emoji.training.sampling import alone, pair

    generator = np.random.default_rng([seed, 3])
    chosen = names or concepts.names()
    pairs = round(count * pair_share)
    singles = [
        alone(generator, name, _held_out(generator, name, "alone"))
        for name in _in_turn(generator, chosen, count - pairs)
    ]
    firsts, seconds = _in_turn(generator, chosen, pairs), _in_turn(generator, chosen, pairs)
    places = _in_turn(generator, tuple(RELATIONS), pairs)
    doubles = [
        pair(generator, (first, _other(second, first, chosen)), place, _held_out(generator, first, place))
        for first, second, place in zip(firsts, seconds, places, strict=True)
    ]
    return singles + doubles


def inpainting_tasks(
    count: int = 60,
    *,
    names: tuple[str, ...] | None = None,
    photo_share: float = PHOTO_SHARE,
    side: int = 64,
    seed: int = 0,
) -> list[InpaintingTask]:
    """Objects to paint into unseen parts of photos and into drawn backgrounds; photos need scikit-image."""
    import numpy as np

    from latentry_emoji.training import concepts

    generator = np.random.default_rng([seed, 4])
    kinds = ["photo"] * round(count * photo_share)
    kinds += ["plain", "gradient"] * (count - len(kinds))
    asked = _in_turn(generator, names or concepts.names(), count)
    return [_inpainting(generator, name, kind, side) for name, kind in zip(asked, kinds, strict=False)]


def _inpainting(generator: np.random.Generator, name: str, kind: str, side: int) -> InpaintingTask:
    from latentry_emoji.training.drawing import draw
    from latentry_emoji.training.sampling import alone

    behind = _photo(generator) if kind == "photo" else _held_out(generator, name, "alone")
    if kind == "gradient":
        other = "white" if behind.key != "white" else "gray"
        behind = Background("gradient", (behind.key, other), seed=int(generator.integers(2**31)))
    scene = alone(generator, name, behind)
    left, top, right, bottom = scene.objects[0].box
    box = (max(left - 0.03, 0), max(top - 0.03, 0), min(right + 0.03, 1), min(bottom + 0.03, 1))
    return InpaintingTask(draw(Scene((), behind), {}, side), box, name, scene.caption)


def _photo(generator: np.random.Generator) -> Background:
    from latentry_emoji.training.backgrounds import PHOTOS

    subject = tuple(PHOTOS)[int(generator.integers(len(PHOTOS)))]
    return Background("photo", (), subject, int(generator.integers(2**31)), held_out=True)


def _held_out(generator: np.random.Generator, name: str, place: Place) -> Background:
    from latentry_emoji.training.sampling import held_out

    colours = [colour for colour in COLOURS if held_out((name, colour, place))]
    return Background("plain", (colours[int(generator.integers(len(colours)))],))


def _in_turn(generator: np.random.Generator, choices: tuple[Choice, ...], count: int) -> list[Choice]:
    """`count` choices in random order, each as often as the others or once more."""
    rounds = -(-count // len(choices))
    order = [index for _ in range(rounds) for index in generator.permutation(len(choices))]
    return [choices[int(index)] for index in order[:count]]


def _other(name: str, taken: str, names: tuple[str, ...]) -> str:
    return name if name != taken else names[(names.index(name) + 1) % len(names)]
