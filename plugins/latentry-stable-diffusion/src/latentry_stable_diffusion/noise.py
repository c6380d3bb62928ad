"""The role noise: one CPU generator an image, so a seed gives one picture alone, in a batch, anywhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from latentry_sdk import JOB, NOISE, PLACED, SEEDS, SIZE, State
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


def noise(state: State) -> State:
    """Noise of the latents' shape, kept where the UNet runs."""
    details = Details.of(state[JOB])
    width, height = state[SIZE]
    shape = (details.latent_channels, height // details.factor, width // details.factor)
    seeds = state[SEEDS]
    return state.put(NOISE, SeededNoise(seeds, shape, state[PLACED]["unet"].home))
