"""Run a sampler as the host does, on levels that suit a space, with noise that is known piece by piece."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import sqrt
from random import Random
from typing import Any

from latentry_sdk import SamplerSpec
from latentry_sdk.testing.row import Row

RANGE = {"ve": (10.0, 0.4), "flow": (1.0, 0.1)}
"""The highest and lowest level used, by space; a step to 0 follows."""

Draw = Callable[[float, float], Any]


def levels(
    space: str, steps: int, *, high: float | None = None, low: float | None = None
) -> tuple[float, ...]:
    """`steps` steps, each to the same part of the last level, and one to 0."""
    highest, lowest = RANGE[space]
    high = high or highest
    ratio = (low or lowest) / high
    return (*(high * ratio ** (i / max(steps, 1)) for i in range(steps + 1)), 0.0)


def sample(
    spec: SamplerSpec,
    denoise: Callable[[Any, float], Any],
    x: Any,
    sigmas: Sequence[float],
    *,
    noise: Draw,
    on_step: Callable[[int, Any, Any], None] | None = None,
) -> Any:
    """Call the sampler as the host does without guidance, with the defaults of its options."""
    arguments: dict[str, Any] = dict(spec.options())
    if spec.stochastic:
        arguments["noise"] = noise
    if spec.unguided:
        arguments["unguided"] = denoise
    if on_step:
        arguments["on_step"] = on_step
    return spec.sample(denoise, x, sigmas, **arguments)


class Draws:
    """What a sampler asks of `noise` over `sigmas`, each answer a sum of independent pieces of unit variance.

    Where the sampler is "brownian", the pieces are the increments of one Brownian motion over sigma, between
    neighbouring levels asked about, so that overlapping intervals share them. Otherwise an answer is a piece.
    """

    def __init__(self, spec: SamplerSpec, sigmas: Sequence[float]) -> None:
        asked: list[tuple[float, float]] = []

        def draw(now: float, nxt: float) -> float:
            asked.append((now, nxt))
            return 0.0

        sample(spec, lambda *_: 0.0, 1.0, sigmas, noise=draw)
        brownian = spec.stochastic == "brownian"
        self._answers = _shared(asked) if brownian else [[(i, 1.0)] for i in range(len(asked))]

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return 1 + max((piece for answer in self._answers for piece, _ in answer), default=-1)

    def of(self, pieces: Sequence[Any]) -> Draw:
        """`noise` for one run, made of the values of `pieces`."""
        answers = iter(self._answers)

        def draw(_now: float, _nxt: float) -> Any:
            (piece, weight), *others = next(answers)
            total = pieces[piece] * weight
            for piece, weight in others:
                total = total + pieces[piece] * weight
            return total

        return draw

    def floats(self, seed: int) -> Draw:
        """`noise` for a run with floats."""
        return self.of(self._values(seed))

    def rows(self, seeds: Iterable[int]) -> Draw:
        """`noise` for a run with rows, whose elements get what `floats` gives to each seed."""
        return self.of([Row.of(values) for values in zip(*map(self._values, seeds), strict=True)])

    def _values(self, seed: int) -> list[float]:
        random = Random(seed)
        return [random.gauss() for _ in range(self.count)]


def _shared(asked: Sequence[tuple[float, float]]) -> list[list[tuple[int, float]]]:
    """For each interval its pieces between neighbouring levels, weighted by the roots of their shares."""
    ends = sorted({level for interval in asked for level in interval})
    pieces = list(enumerate(pairwise(ends)))
    return [
        [(i, sqrt((high - low) / (now - nxt))) for i, (low, high) in pieces if nxt <= low and high <= now]
        for now, nxt in asked
    ]
