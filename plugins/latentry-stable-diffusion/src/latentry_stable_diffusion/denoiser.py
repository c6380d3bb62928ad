"""Ask the UNet what clean latents it sees, with the rows that guidance combines."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import sqrt
from typing import TYPE_CHECKING

from latentry_sdk import ModelRange, Placed, timestep_at
from latentry_sdk.guidance import NEGATIVE, PROMPT, Guide, Moment, Row
from latentry_stable_diffusion.conditions import Inputs, Timed, joined

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
    """Asks the UNet for `at_once` images at a time, all rows that guidance needs in one call.

    One at a time gives each image of a batch the very numbers of its single run: the rounding of a matrix
    product depends on its size, and guidance multiplies it. Images whose inputs differ in shape are not given
    at once. A denoiser that `keeps` remembers what it saw without the prompt when it was called last.
    """

    unet: Placed
    images: Sequence[Timed]
    sigmas: tuple[float, ...]
    model_range: ModelRange
    clean: Callable[["Tensor", "Tensor", float], "Tensor"]
    guide: Guide
    further: Sequence[Row] = ()
    at_once: int = 1
    keeps: bool = False
    _last: "Free | None" = None
    _joined: "dict[int, tuple[Sequence[Inputs], Inputs]]" = field(default_factory=dict)

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
        return replace(self, images=images, _last=None, _joined={})

    def step(self, sigma: float) -> int:
        """The sampling step, from 1, that goes down from a level of at least `sigma`."""
        return max(sum(level >= sigma * (1 - 1e-6) for level in self.sigmas), 1)

    def _asked(self, x: "Tensor", sigma: float) -> "list[tuple[Moment, Mapping[str, Tensor]]]":
        """What the UNet gives for each part of the batch that it gets at once."""
        step, found = self.step(sigma), []
        each = [_at(image, step) for image in self.images]
        for start, part in _parts(each * len(x) if len(each) == 1 else each, self.at_once):
            moment = Moment(x[start : start + len(part)], sigma, step)
            found.append((moment, self._outputs(moment, self._inputs(start, part))))
        return found

    def _inputs(self, start: int, part: Sequence[Inputs]) -> Inputs:
        """The inputs for a part of the batch, made again only where the prompts have changed."""
        before, inputs = self._joined.get(start, ((), part[0]))
        if [*map(id, before)] != [*map(id, part)]:
            inputs = joined(part)
            self._joined[start] = part, inputs
        return inputs

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
        timestep = torch.full((1,), timestep_at(self.model_range, sigma), device=x.device)
        for row in self.further:
            row.before(slice(inputs.rows.index(row.name), None, count))
        output = self.unet(sample, timestep, *inputs.arrays).to(x.dtype)
        return dict(zip(inputs.rows, output.unflatten(0, (len(x), count)).unbind(1), strict=True))


def _parts(inputs: Sequence[Inputs], size: int) -> Iterator[tuple[int, Sequence[Inputs]]]:
    """Neighbours that can be given at once, no more than `size` of them, and the index of the first."""
    start = 0
    for _, alike in groupby(inputs, key=Inputs.form):
        found = [*alike]
        for index in range(0, len(found), size):
            yield start + index, found[index : index + size]
        start += len(found)


def _at(image: Timed, step: int) -> Inputs:
    return next((inputs for until, inputs in image if step <= until), image[-1][1])
