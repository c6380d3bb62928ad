"""What the UNet takes beside the latents and the timestep, for each image and stretch of the sampling."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from latentry_sdk import CONDITIONING, JOB, MASK_LATENTS, MASKED_LATENTS, PLACED, SIZE, State
from latentry_sdk.guidance import GUIDED_STEPS, NEGATIVE, PROMPT, ROWS
from latentry_stable_diffusion.architectures import ARCHITECTURES
from latentry_stable_diffusion.conditioning import Conditioning, Embedding
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.equations import FIRST
from latentry_stable_diffusion.grey import GreyPictures

if TYPE_CHECKING:
    from torch import Tensor

GOOD, POOR = 6.0, 2.5  # aesthetic scores of the refiner's prompt and negative prompt


@dataclass(frozen=True)
class Inputs:
    """The UNet's inputs for one image: a row for each evaluation that guidance combines, named by `rows`.

    `arrays` are the text (rows, tokens, width) and, for SDXL, the pooled prompt (rows, width) and the sizes
    (rows, numbers); `extra` are the further channels (1, channels, height, width) of an inpainting UNet.
    """

    arrays: tuple["Tensor", ...]
    rows: tuple[str, ...]
    extra: "Tensor | None" = None

    def form(self) -> tuple[object, ...]:
        """Equal for inputs that can be given at once."""
        return self.rows, *(array.shape for array in self.arrays)


def joined(images: Sequence[Inputs]) -> Inputs:
    """The inputs of images of one form for one call: each image's rows after another."""
    import torch

    if len(images) == 1:
        return images[0]
    arrays = zip(*(image.arrays for image in images), strict=True)
    return replace(images[0], arrays=tuple(map(torch.cat, arrays)))


Timed = tuple[tuple[int, Inputs], ...]
"""(the last step, its inputs), in order."""


def conditions(state: State, greys: GreyPictures, *, both: bool) -> Sequence[Timed]:
    """The inputs of each image, or of one that stands for all; `both` adds the row for `guidance_2`."""
    extra, guided = _extra_channels(state, greys), state.get(GUIDED_STEPS)
    further = [row.name for row in state.get(ROWS) or ()]
    return [
        tuple(
            (stretch.until, _inputs(rows_of(stretch, both=both, further=further), stretch, state, extra))
            for stretch in (image if guided is None else within(guided, image))
        )
        for image in state[CONDITIONING]
    ]


def within(guided: range, image: Sequence[Conditioning]) -> Iterator[Conditioning]:
    """The stretches of an image, cut where guidance begins and ends; outside they have no negative."""
    before = 0
    for stretch in image:
        edges = {edge for edge in (guided.start - 1, guided.stop - 1) if before < edge < stretch.until}
        for until in (*sorted(edges), stretch.until):
            yield replace(stretch, until=until, uncond=stretch.uncond if before + 1 in guided else None)
            before = until


def rows_of(stretch: Conditioning, *, both: bool, further: Sequence[str] = ()) -> dict[str, Embedding]:
    """Negative, prompt, further rows; with `both`, after the negative the prompt for the first encoder."""
    cond, uncond = stretch.cond, stretch.uncond
    rows = dict.fromkeys((PROMPT, *further), cond)
    if uncond is None:
        return rows
    first = {FIRST: Embedding((cond.sides[0], *uncond.sides[1:]), uncond.pooled)} if both else {}
    return {NEGATIVE: uncond, **first, **rows}


def _inputs(
    rows: Mapping[str, Embedding], stretch: Conditioning, state: State, extra: "Tensor | None"
) -> Inputs:
    """Text, and SDXL's pooled prompts and (original size, crop, target size); the refiner has scores last."""
    import torch

    details, home = Details.of(state[JOB]), state[PLACED]["unet"].home
    text = torch.cat([row.hidden for row in rows.values()]).to(home)
    if not ARCHITECTURES[details.architecture].text_time:
        return Inputs((text,), tuple(rows), extra)
    (width, height), texts = state[SIZE], rows.values()
    ends = [
        (GOOD if row is stretch.cond else POOR,) if details.aesthetic else (height, width) for row in texts
    ]
    sizes = torch.tensor([[height, width, 0, 0, *end] for end in ends], dtype=torch.float32, device=home)
    return Inputs((text, torch.cat([row.pooled for row in texts]).to(home), sizes), tuple(rows), extra)


def _extra_channels(state: State, greys: GreyPictures) -> "Tensor | None":
    """A 9-channel UNet's mask, hard, and masked latents; all of a grey picture where there is no mask."""
    import torch

    details = Details.of(state[JOB])
    if details.channels == details.latent_channels:
        return None
    home = state[PLACED]["unet"].home
    if MASK_LATENTS in state:
        mask, masked = state[MASK_LATENTS], state[MASKED_LATENTS]
        return torch.cat([(mask >= 0.5).to(masked), masked], dim=1).to(home)
    grey = greys.latents(state).to(home)
    return torch.cat([torch.ones_like(grey[:, :1]), grey], dim=1)
