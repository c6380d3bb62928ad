"""The role denoise: UNet, parameterisation and classifier-free guidance as `denoise(x, sigma) -> x0`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING

from latentry_sdk import (
    CONDITIONING,
    DENOISE,
    JOB,
    MASK_LATENTS,
    MASKED_LATENTS,
    PLACED,
    SIZE,
    Denoise,
    Field,
    ModelRange,
    Options,
    Placed,
    State,
)
from latentry_stable_diffusion.architectures import ARCHITECTURES
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.pictures import encode
from latentry_stable_diffusion.prompts import Conditioning, Embedding

if TYPE_CHECKING:
    from torch import Tensor

GOOD, POOR = 6.0, 2.5  # aesthetic scores of the refiner's prompt and negative prompt


def epsilon(x: "Tensor", output: "Tensor", sigma: float) -> "Tensor":
    """x0 = x - sigma eps."""
    return x - sigma * output


def velocity(x: "Tensor", output: "Tensor", sigma: float) -> "Tensor":
    """x0 = x / (sigma^2 + 1) - v sigma / sqrt(sigma^2 + 1), arXiv:2202.00512."""
    return x / (sigma**2 + 1) - output * (sigma / sqrt(sigma**2 + 1))


CLEAN: Mapping[str, Callable[["Tensor", "Tensor", float], "Tensor"]] = {
    "epsilon": epsilon,
    "v_prediction": velocity,
}


class DenoiseOptions(Options):
    """How the UNet is called."""

    together: bool = Field(
        False,
        description="Give the UNet a whole batch at once: faster for small pictures and on a GPU, takes more "
        "memory, and equals the single runs up to rounding only",
    )


@dataclass(frozen=True)
class Inputs:
    """What the UNet takes beside the latents and the timestep: for the negative prompt, then for the prompt.

    Each tensor has one row; `extra` are the further channels of an inpainting UNet.
    """

    text: tuple["Tensor", ...]
    pooled: tuple["Tensor", ...]
    time_ids: tuple["Tensor", ...]
    extra: "Tensor | None" = None

    def rows(self, batch: int) -> "tuple[tuple[Tensor, ...], Tensor | None]":
        """Text, pooled and time ids for `batch` pictures, and their extra channels."""
        import torch

        def spread(tensors: "tuple[Tensor, ...]") -> "Tensor":
            return torch.cat([tensor.expand(batch, *tensor.shape[1:]) for tensor in tensors])

        kinds = [kind for kind in (self.text, self.pooled, self.time_ids) if kind]
        extra = None if self.extra is None else spread((self.extra,) * len(self.text))
        return tuple(map(spread, kinds)), extra


@dataclass
class Denoiser:
    """Guides with one doubled batch an image, or one for all; keeps the rows for the sizes it has met.

    One image at a time gives each the very numbers of its single run: the rounding of a matrix product
    depends on its size, and guidance multiplies it.
    """

    unet: Placed
    inputs: Inputs
    model_range: ModelRange
    clean: Callable[["Tensor", "Tensor", float], "Tensor"]
    guidance: float
    together: bool = False
    _rows: "dict[int, tuple[tuple[Tensor, ...], Tensor | None]]" = field(default_factory=dict)

    def __call__(self, x: "Tensor", sigma: float) -> "Tensor":
        """The clean latents seen in `x`, whose noise has deviation `sigma`."""
        import torch

        parts = (x,) if self.together else x.chunk(len(x))
        return torch.cat([self.clean(part, self._output(part, sigma), sigma) for part in parts])

    def _output(self, x: "Tensor", sigma: float) -> "Tensor":
        import torch

        if len(x) not in self._rows:
            self._rows[len(x)] = self.inputs.rows(len(x))
        conditions, extra = self._rows[len(x)]
        scaled = torch.cat([x / sqrt(sigma**2 + 1)] * len(self.inputs.text))
        sample = scaled if extra is None else torch.cat([scaled, extra], dim=1)
        timestep = torch.tensor([self.model_range.timestep(sigma)], device=x.device)
        return self._guided(self.unet(sample, timestep, *conditions).to(x.dtype))

    def _guided(self, output: "Tensor") -> "Tensor":
        if len(self.inputs.text) == 1:
            return output
        uncond, cond = output.chunk(2)
        return uncond + self.guidance * (cond - uncond)


def denoise(state: State) -> State:
    """The denoiser for the job's prompts, at its size."""
    job = state[JOB]
    unet, details, request = state[PLACED]["unet"], Details.of(job), job.plan.request
    conditioning: Conditioning = state[CONDITIONING]
    embeddings = [text for text in (conditioning.uncond, conditioning.cond) if text is not None]
    inputs = Inputs(
        text=tuple(text.hidden.to(unet.home) for text in embeddings),
        **_size_inputs(embeddings, details, state[SIZE], unet.home),
        extra=_extra_channels(state, details),
    )
    clean, levels = CLEAN[details.prediction], job.plan.detected.model_range
    together = job.options(DenoiseOptions).together
    denoiser: Denoise[Tensor] = Denoiser(unet, inputs, levels, clean, request.guidance, together)
    return state.put(DENOISE, denoiser)


def _size_inputs(
    embeddings: list[Embedding], details: Details, size: tuple[int, int], home: str
) -> "dict[str, tuple[Tensor, ...]]":
    """SDXL's pooled prompts and (original size, crop, target size); the refiner's scores replace the last."""
    import torch

    if not ARCHITECTURES[details.architecture].text_time:
        return {"pooled": (), "time_ids": ()}
    width, height = size
    ends = [(POOR,), (GOOD,)] if details.aesthetic else [(height, width)] * 2
    ids = [torch.tensor([[height, width, 0, 0, *end]], dtype=torch.float32, device=home) for end in ends]
    return {
        "pooled": tuple(text.pooled.to(home) for text in embeddings),
        "time_ids": tuple(ids[-len(embeddings) :]),
    }


def _extra_channels(state: State, details: Details) -> "Tensor | None":
    """A 9-channel UNet's mask, hard, and masked latents; all of a grey picture where there is no mask."""
    import torch

    if details.channels == details.latent_channels:
        return None
    home = state[PLACED]["unet"].home
    if MASK_LATENTS in state:
        mask, masked = state[MASK_LATENTS], state[MASKED_LATENTS]
        return torch.cat([(mask >= 0.5).to(masked), masked], dim=1).to(home)
    width, height = state[SIZE]
    grey = encode(torch.zeros(1, 3, height, width), state[PLACED]["vae_encoder"], details).to(home)
    return torch.cat([torch.ones_like(grey[:, :1]), grey], dim=1)
