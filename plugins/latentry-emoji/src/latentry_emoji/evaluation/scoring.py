"""Turn pictures and the scenes they should show into a few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from latentry_emoji.training.scenes import COLOURS, OPPOSITE, Place, Scene

if TYPE_CHECKING:
    from PIL import Image

    from latentry_emoji.evaluation.matching import Box, Matcher, Pixels
    from latentry_emoji.evaluation.tasks import InpaintingTask

HALVES: dict[str, Box] = {
    "alone": (0.0, 0.0, 1.0, 1.0),
    "left": (0.0, 0.0, 0.5, 1.0),
    "right": (0.5, 0.0, 1.0, 1.0),
    "above": (0.0, 0.0, 1.0, 0.5),
    "below": (0.0, 0.5, 1.0, 1.0),
}


@dataclass(frozen=True)
class Scores:
    """Shares between 0 and 1, or None where no scene asks for it.

    `recall_1` and `recall_5`: objects whose concept is the best, or among the best five, of all concepts.
    `alone` and `paired`: `recall_1` of scenes of one and of two objects. `background`: plain backgrounds of
    the right colour. `placement`: pairs whose first object lies on the asked side of the second.
    """

    pictures: int
    recall_1: float | None
    recall_5: float | None
    alone: float | None
    paired: float | None
    background: float | None
    placement: float | None

    def as_dict(self) -> dict[str, float]:
        """The numbers that there are, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def score(
    pictures: Sequence[Image.Image],
    scenes: Sequence[Scene],
    *,
    artwork: Mapping[str, Image.Image] | None = None,
    names: tuple[str, ...] | None = None,
) -> Scores:
    """Score RGB pictures of any size against the scenes they should show.

    An object is looked for in the half of the picture where its caption puts it, over the colour of the
    picture's border. `names` are the concepts to choose among, all of the artwork unless given; the artwork
    is the package's own unless given.
    """
    matcher = _matcher(artwork, names)
    results = [_judge(picture, scene, matcher) for picture, scene in zip(pictures, scenes, strict=True)]
    ranks = [rank for result in results for rank in result.ranks]
    return Scores(
        pictures=len(results),
        recall_1=_share([rank == 0 for rank in ranks]),
        recall_5=_share([rank < 5 for rank in ranks]),
        alone=_share([rank == 0 for result in results if len(result.ranks) == 1 for rank in result.ranks]),
        paired=_share([rank == 0 for result in results if len(result.ranks) == 2 for rank in result.ranks]),
        background=_share([result.background for result in results if result.background is not None]),
        placement=_share([result.placement for result in results if result.placement is not None]),
    )


def score_inpainting(
    pictures: Sequence[Image.Image],
    tasks: Sequence[InpaintingTask],
    *,
    artwork: Mapping[str, Image.Image] | None = None,
    names: tuple[str, ...] | None = None,
) -> dict[str, float]:
    """``recall_1`` and ``recall_5`` of the object inside the mask, and ``kept_psnr`` in dB outside it."""
    import numpy as np

    matcher = _matcher(artwork, names)
    done = list(zip(pictures, tasks, strict=True))
    ranks = [_rank_inside(picture, task, matcher) for picture, task in done]
    return {
        "recall_1": float(np.mean([rank == 0 for rank in ranks])),
        "recall_5": float(np.mean([rank < 5 for rank in ranks])),
        "kept_psnr": float(np.mean([_kept_psnr(picture, task) for picture, task in done])),
    }


def border_colour(picture: Image.Image) -> Pixels:
    """The median colour of the outermost two of 64 pixels, (3,) values between 0 and 1."""
    import numpy as np

    from latentry_emoji.evaluation.matching import as_pixels

    pixels = as_pixels(picture)
    inner = np.zeros(pixels.shape[:2], np.bool_)
    inner[2:-2, 2:-2] = True
    return np.median(pixels[~inner], axis=0).astype(np.float32)


def nearest_colour(colour: Pixels) -> str:
    """The named colour nearest to (3,) values between 0 and 1."""
    return min(
        COLOURS, key=lambda name: sum((a * 255 - b) ** 2 for a, b in zip(colour, COLOURS[name], strict=True))
    )


@dataclass(frozen=True)
class _Judgement:
    ranks: tuple[int, ...]
    background: bool | None
    placement: bool | None


def _judge(picture: Image.Image, scene: Scene, matcher: Matcher) -> _Judgement:
    colour = border_colour(picture)
    asked = [(name, HALVES[place]) for name, _, place in scene.combinations]
    ranks = tuple(matcher.match(picture, colour, half).best(half).rank(name) for name, half in asked)
    plain = scene.background.kind == "plain" and scene.background_named
    placed = _is_placed(picture, colour, scene, matcher) if len(scene.objects) == 2 else None
    return _Judgement(ranks, nearest_colour(colour) == scene.background.key if plain else None, placed)


def _is_placed(picture: Image.Image, colour: Pixels, scene: Scene, matcher: Matcher) -> bool:
    """Whether the arrangement of both objects that explains the picture best is the one asked for."""
    first, second = both = tuple(placed.name for placed in scene.objects)
    matches = {
        place: matcher.match(picture, colour, HALVES[place], both).best(HALVES[place]) for place in OPPOSITE
    }

    def explained(place: Place) -> float:
        return matches[place].gains[first] + matches[OPPOSITE[place]].gains[second]

    return max(OPPOSITE, key=explained) == scene.place


def _rank_inside(picture: Image.Image, task: InpaintingTask, matcher: Matcher) -> int:
    from latentry_emoji.evaluation.matching import as_pixels

    return matcher.match(picture, as_pixels(task.known), task.box).best(task.box).rank(task.name)


def _kept_psnr(picture: Image.Image, task: InpaintingTask) -> float:
    import numpy as np

    from latentry_emoji.evaluation.reconstruction import psnr

    outside = ~task.painted(picture.width)
    made, known = (
        np.asarray(one.convert("RGB"), np.float64) for one in (picture, task.known.resize(picture.size))
    )
    return psnr(made[outside], known[outside])


def _matcher(artwork: Mapping[str, Image.Image] | None, names: tuple[str, ...] | None) -> Matcher:
    from latentry_emoji.evaluation.matching import Matcher
    from latentry_emoji.training.artwork import shipped

    return Matcher(shipped() if artwork is None else artwork, names)


def _share(facts: Sequence[bool]) -> float | None:
    return sum(facts) / len(facts) if facts else None
