"""The role noise: one CPU generator an image, so a seed gives one picture alone, in a batch, anywhere."""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING

from latentry_sdk import JOB, NOISE, PLACED, SEEDS, SIZE, State
from latentry_sdk.levels import levels_of
from latentry_stable_diffusion.details import Details

if TYPE_CHECKING:
    from torch import Tensor


class SeededNoise:
    """Unit normal noise of (one an image, *shape) in float32, on the device called `home`."""

    def __init__(self, seeds: Sequence[int], shape: tuple[int, ...], home: str) -> None:
        import torch

        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._shape, self._home = shape, home
        self._first = self._draw()

    def initial(self) -> "Tensor":
        """The first draw, however often it is asked for."""
        return self._first

    def between(self, now: float, nxt: float, /) -> "Tensor":  # noqa: ARG002
        """The next draw."""
        return self._draw()

    def _draw(self) -> "Tensor":
        import torch

        draws = [torch.randn(self._shape, generator=generator) for generator in self._generators]
        return torch.stack(draws).to(self._home)


class BrownianNoise:
    """The same to start from, then the steps of one Brownian motion an image over the levels 0 to `highest`.

    Intervals that overlap share their part of the motion. A seed's motion is the same however many steps a
    job takes, so more steps come closer to one picture.
    """

    def __init__(self, seeds: Sequence[int], shape: tuple[int, ...], home: str, highest: float) -> None:
        import torch
        from torchsde import BrownianTree

        self._first, self._home = SeededNoise(seeds, shape, home).initial(), home
        top = float(ceil(highest))  # the tree rounds its ends, and `highest` must lie between them
        self._motions = [BrownianTree(0.0, torch.zeros(shape), top, entropy=seed) for seed in seeds]

    def initial(self) -> "Tensor":
        """What `SeededNoise` starts from."""
        return self._first

    def between(self, now: float, nxt: float, /) -> "Tensor":
        """How far the motion goes on its way down from `now` to `nxt`, scaled to unit variance."""
        import torch

        ways = [motion(nxt, now) for motion in self._motions]
        return (torch.stack(ways) / -sqrt(now - nxt)).to(self._home)


def noise(state: State) -> State:
    """Noise of the latents' shape, kept where the UNet runs, and of the kind that the sampler takes."""
    plan, details = state[JOB].plan, Details.of(state[JOB])
    width, height = state[SIZE]
    shape = (details.latent_channels, height // details.factor, width // details.factor)
    seeds, home = state[SEEDS], state[PLACED]["unet"].home
    if plan.sampler.stochastic != "brownian":
        return state.put(NOISE, SeededNoise(seeds, shape, home))
    highest = max(plan.sigmas[0], levels_of(plan).sigma_max)
    return state.put(NOISE, BrownianNoise(seeds, shape, home, highest))
