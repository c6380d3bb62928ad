"""Put noise on samples: what the denoiser sees in training, and what it is to answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler

from latentry_emoji.training.latents import Samples

TIMES = 1000


@dataclass(frozen=True)
class Batch:
    """Noisy samples; the first dimension of every tensor counts them.

    `seen` has the 9 channels of the UNet's input, `noise` the 4 it is to find, `kept` (count, 1, 1, 1) the
    share of the variance that is signal, and `told` is false where the caption is to be left out.
    """

    seen: torch.Tensor
    noise: torch.Tensor
    kept: torch.Tensor
    times: torch.Tensor
    tokens: torch.Tensor
    told: torch.Tensor

    def parts(self, count: int) -> Iterator[Batch]:
        """The batch dealt into `count` hands, each with timesteps from all of the schedule."""
        return (Batch(*(value[hand::count] for value in vars(self).values())) for hand in range(count))


class Noiser:
    """Stable Diffusion's noise on the scaled latents of samples; captions are left out of a share of them."""

    def __init__(self, samples: Samples, tokens: torch.Tensor, untold: float, device: torch.device) -> None:
        self._samples, self._tokens, self._untold = samples.to(device), tokens.to(device), untold
        self._scaling_factor = samples.scaling_factor
        self._kept_signal = noise_schedule().alphas_cumprod.to(device)

    def __call__(self, chosen: torch.Tensor, generator: torch.Generator) -> Batch:
        """The samples of these numbers with noise of a generator on their device."""
        chosen, device = chosen.to(generator.device), generator.device
        clean, masked = (
            part[chosen].float() * self._scaling_factor
            for part in (self._samples.clean, self._samples.masked)
        )
        times = even_times(len(chosen), generator)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        kept = self._kept_signal[times].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
        told = torch.rand(len(chosen), generator=generator, device=device) >= self._untold
        seen = torch.cat((noisy, self._samples.mask[chosen].float(), masked), 1)
        return Batch(seen, noise, kept, times, self._tokens[chosen], told)


def even_times(count: int, generator: torch.Generator) -> torch.Tensor:
    """Random timesteps, one in each of `count` equal parts of the schedule: less noise between batches."""
    device = generator.device
    inside = torch.rand(count, generator=generator, device=device)
    return ((torch.arange(count, device=device) + inside) / count * TIMES).long()


def noise_schedule() -> DDPMScheduler:
    """Stable Diffusion's noise schedule."""
    return DDPMScheduler(TIMES, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
