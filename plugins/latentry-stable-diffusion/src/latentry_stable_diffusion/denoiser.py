"""Ask the UNet what clean latents it sees, with the rows that guidance combines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import TYPE_CHECKING

from latentry_sdk import ModelRange, Placed, timestep_at
from latentry_sdk.guidance import NEGATIVE, PROMPT, Guide, Moment, Row
from latentry_stable_diffusion.conditions import Inputs, Timed

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Free:
    """What was seen in `x` at `sigma` without the prompt."""

    x: "Tensor"
    sigma: float
    clean: "Tensor"


@dataclass
class Denoiser:
    """Asks the UNet for one image at a time, all rows that guidance needs in one call.

    This gives each image of a batch the very numbers of its single run: the rounding of a matrix product
    depends on its size, and guidance multiplies it. One that `keeps` remembers what it saw without
    the prompt when it was called last.
    """

    unet: Placed
    images: Sequence[Timed]
    sigmas: tuple[float, ...]
    model_range: ModelRange
    clean: Callable[["Tensor", "Tensor", float], "Tensor"]
    guide: Guide
    further: Sequence[Row] = ()
    together: bool = False
    keeps: bool = False
    _last: "Free | None" = None
    _repeated: "dict[tuple[int, int], Inputs]" = field(default_factory=dict)

    def __call__(self, x: "Tensor", sigma: float) -> "Tensor":
        """The clean latents seen in `x`, whose noise has deviation `sigma`."""
        asked = self._asked(x, sigma)
        if self.keeps:
            self._last = Free(x, sigma, self._free(asked))
        return self._clean([(moment, self.guide(rows, moment)) for moment, rows in asked])

    def unguided(self, x: "Tensor", sigma: float) -> "Tensor":
        """Those that are seen with the negative prompt; where there is no guidance, with the prompt."""
        last = self._last
        if last and last.sigma == sigma and last.x.equal(x):
            return last.clean
        return self._free(self._asked(x, sigma))

    def alone(self, index: int) -> "Denoiser":
        """The denoiser for the image `index` of the batch, which knows nothing of the others."""
        images = self.images if len(self.images) == 1 else [self.images[index]]
        return replace(self, images=images, _last=None, _repeated={})

    def step(self, sigma: float) -> int:
        """The sampling step, from 1, that goes down from a level of at least `sigma`."""
        return max(sum(level >= sigma * (1 - 1e-6) for level in self.sigmas), 1)

    def _for_all(self, count: int, step: int) -> Inputs:
        """The inputs of one image for `count` of them, each image's rows after another."""
        inputs = _at(self.images[0], step)
        key = (count, id(inputs))
        if key not in self._repeated:
            repeated = [array.repeat(count, *[1] * (array.dim() - 1)) for array in inputs.arrays]
            self._repeated[key] = Inputs(tuple(repeated), inputs.rows, inputs.extra)
        return self._repeated[key]

    def _asked(self, x: "Tensor", sigma: float) -> "list[tuple[Moment, Mapping[str, Tensor]]]":
        """What the UNet gives for each part of the batch that it gets at once."""
        step = self.step(sigma)
        if self.together and len(self.images) == 1:
            whole = Moment(x, sigma, step)
            return [(whole, self._outputs(whole, self._for_all(len(x), step)))]
        images = self.images if len(self.images) > 1 else [*self.images] * len(x)
        moments = [Moment(part, sigma, step) for part in x.chunk(len(x))]
        pairs = zip(moments, images, strict=True)
        return [(moment, self._outputs(moment, _at(image, step))) for moment, image in pairs]

    def _free(self, asked: "Sequence[tuple[Moment, Mapping[str, Tensor]]]") -> "Tensor":
        return self._clean([(moment, rows.get(NEGATIVE, rows[PROMPT])) for moment, rows in asked])

    def _clean(self, outputs: "Sequence[tuple[Moment, Tensor]]") -> "Tensor":
        import torch

        return torch.cat([self.clean(moment.x, output, moment.sigma) for moment, output in outputs])

    def _outputs(self, moment: Moment, inputs: Inputs) -> "Mapping[str, Tensor]":
        """What the UNet gives, by the names of the rows: (images, channels, height, width) each."""
        import torch

        x, sigma = moment.x, moment.sigma
        count = len(inputs.rows)
        sample = (x / sqrt(sigma**2 + 1)).repeat_interleave(count, dim=0)
        if inputs.extra is not None:
            sample = torch.cat([sample, inputs.extra.expand(len(sample), *inputs.extra.shape[1:])], dim=1)
        timestep = torch.tensor([timestep_at(self.model_range, sigma)], device=x.device)
        for row in self.further:
            row.before(slice(inputs.rows.index(row.name), None, count))
        output = self.unet(sample, timestep, *inputs.arrays).to(x.dtype)
        return dict(zip(inputs.rows, output.unflatten(0, (len(x), count)).unbind(1), strict=True))


def _at(image: Timed, step: int) -> Inputs:
    return next((inputs for until, inputs in image if step <= until), image[-1][1])
