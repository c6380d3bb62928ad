"""Noise between two seeds: pictures that are near one another."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_sdk import (
    JOB,
    MAX_SEED,
    NOISE,
    SEEDS,
    Field,
    Job,
    Noise,
    Number,
    Options,
    Seed,
    StageSpec,
    State,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import Tensor


class VariationOptions(Options):
    """How far to go from the seed's noise, and where to."""

    variation_strength: Number = Field(
        0.0, ge=0, le=1, description="0: the seed's picture, 1: another seed's"
    )
    variation_seed: Seed | None = Field(
        None, description="The other seed of the first image; none or -1 draws one"
    )


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stage after the family's noise."""
    return [
        StageSpec(
            "variation",
            vary,
            needs=(JOB, SEEDS, NOISE),
            gives=(SEEDS, NOISE),
            options=VariationOptions,
            description="Start from noise between two seeds",
        )
    ]


@dataclass(frozen=True)
class VariedNoise:
    """Starts a part of the way from one noise to another; what is drawn later is the first one's."""

    base: Noise["Tensor"]
    other: Noise["Tensor"]
    strength: float

    def initial(self) -> "Tensor":
        """The noise of each image, on the great circle between both."""
        return slerp(self.base.initial(), self.other.initial(), self.strength)

    def between(self, now: float, nxt: float, /) -> "Tensor":
        """Fresh noise for the step from sigma `now` to `nxt`."""
        return self.base.between(now, nxt)


def vary(state: State) -> State:
    """All images from the first seed's noise, each towards its own variation seed, which count up."""
    job, seeds = state[JOB], state[SEEDS]
    options = job.options(VariationOptions)
    if not options.variation_strength:
        return state
    first = _first(options.variation_seed)
    same = (seeds[0],) * len(seeds)
    others = tuple((first + index) % (MAX_SEED + 1) for index in range(len(seeds)))
    base, other = (_noise(state, job, each) for each in (same, others))
    job.apply("seeds", list(same))
    job.apply("variation", {"strength": options.variation_strength, "seeds": list(others)})
    varied: Noise[Any] = VariedNoise(base, other, options.variation_strength)
    return state.put(SEEDS, same).put(NOISE, varied)


def slerp(low: "Tensor", high: "Tensor", part: float) -> "Tensor":
    """Spherical interpolation of each image by itself: sin((1 - t) w) / sin w low + sin(t w) / sin w high.

    w is the angle between the two (Shoemake, SIGGRAPH 1985); where they are nearly parallel it is linear.
    """
    import torch

    flat, other = low.flatten(1).double(), high.flatten(1).double()
    cosine = torch.nn.functional.cosine_similarity(flat, other).clamp(-1, 1)
    angle = cosine.acos()[:, None]
    sine = angle.sin()
    near = sine < 1e-6
    weights = torch.where(near, 1 - part, ((1 - part) * angle).sin() / sine)
    others = torch.where(near, part, (part * angle).sin() / sine)
    return (weights * flat + others * other).to(low.dtype).view_as(low)


def _noise(state: State, job: Job, seeds: tuple[int, ...]) -> Noise[Any]:
    """What the family's own noise stage gives for these seeds."""
    role = job.plan.family.roles["noise"]
    stage = next(stage for stage in job.plan.stages if stage.name == role)
    return stage.run(state.put(SEEDS, seeds))[NOISE]


def _first(seed: int | None) -> int:
    return int.from_bytes(os.urandom(4)) if seed in (None, -1) else int(seed or 0)
