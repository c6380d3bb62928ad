"""What the UNet takes beside the latents and the timestep, for each image and stretch of the sampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentry_sdk import CONDITIONING, JOB, MASK_LATENTS, MASKED_LATENTS, PLACED, SIZE, State
from latentry_stable_diffusion.architectures import ARCHITECTURES
from latentry_stable_diffusion.conditioning import Conditioning, Embedding
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.pictures import encode

if TYPE_CHECKING:
    from torch import Tensor

GOOD, POOR = 6.0, 2.5  # aesthetic scores of the refiner's prompt and negative prompt


@dataclass(frozen=True)
class Inputs:
    """The UNet's inputs for one image: a row for each evaluation that guidance combines.

    `arrays` are the text (rows, tokens, width) and, for SDXL, the pooled prompt (rows, width) and the sizes
    (rows, numbers); `extra` are the further channels (1, channels, height, width) of an inpainting UNet.
    """

    arrays: tuple["Tensor", ...]
    extra: "Tensor | None" = None


Timed = tuple[tuple[int, Inputs], ...]
"""(the last step, its inputs), in order."""


def conditions(state: State, *, both: bool) -> Sequence[Timed]:
    """The inputs of each image, or of one that stands for all; `both` adds the row for `guidance_2`."""
    extra = _extra_channels(state)
    return [
        tuple((stretch.until, Inputs(_arrays(stretch, state, both=both), extra)) for stretch in image)
        for image in state[CONDITIONING]
    ]


def rows_of(stretch: Conditioning, *, both: bool) -> list[Embedding]:
    """Negative, prompt; with `both`, between them the prompt for the first encoder alone."""
    cond, uncond = stretch.cond, stretch.uncond
    if uncond is None:
        return [cond]
    if not both:
        return [uncond, cond]
    return [uncond, Embedding((cond.sides[0], *uncond.sides[1:]), uncond.pooled), cond]


def _arrays(stretch: Conditioning, state: State, *, both: bool) -> "tuple[Tensor, ...]":
    """Text, and SDXL's pooled prompts and (original size, crop, target size); the refiner has scores last."""
    import torch

    details, home = Details.of(state[JOB]), state[PLACED]["unet"].home
    rows = rows_of(stretch, both=both)
    text = torch.cat([row.hidden for row in rows]).to(home)
    if not ARCHITECTURES[details.architecture].text_time:
        return (text,)
    width, height = state[SIZE]
    ends = [
        (GOOD if row is stretch.cond else POOR,) if details.aesthetic else (height, width) for row in rows
    ]
    sizes = torch.tensor([[height, width, 0, 0, *end] for end in ends], dtype=torch.float32, device=home)
    return text, torch.cat([row.pooled for row in rows]).to(home), sizes


def _extra_channels(state: State) -> "Tensor | None":
    """A 9-channel UNet's mask, hard, and masked latents; all of a grey picture where there is no mask."""
    import torch

    details = Details.of(state[JOB])
    if details.channels == details.latent_channels:
        return None
    home = state[PLACED]["unet"].home
    if MASK_LATENTS in state:
        mask, masked = state[MASK_LATENTS], state[MASKED_LATENTS]
        return torch.cat([(mask >= 0.5).to(masked), masked], dim=1).to(home)
    width, height = state[SIZE]
    grey = encode(torch.zeros(1, 3, height, width), state[PLACED]["vae_encoder"], details).to(home)
    return torch.cat([torch.ones_like(grey[:, :1]), grey], dim=1)
