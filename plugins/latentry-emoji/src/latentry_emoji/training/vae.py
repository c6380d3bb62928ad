"""Train the autoencoder: from pictures to 4-channel latents at a quarter of the side, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch.nn import functional

from latentry_emoji.evaluation.reconstruction import reconstruction_scores
from latentry_emoji.training.artwork import Artwork
from latentry_emoji.training.average import Average
from latentry_emoji.training.drawing import draw
from latentry_emoji.training.loop import Schedule, State, new_optimizer
from latentry_emoji.training.pictures import to_pictures, to_tensor
from latentry_emoji.training.randomness import numpy_generator, torch_generator
from latentry_emoji.training.sampling import DRAWING, ENCODING, Mixture, held_out_scene, training_scene

HELD_OUT = 96


@dataclass(frozen=True)
class VaeSettings:
    """The autoencoder's size and how it is trained; each level after the first halves the side."""

    side: int = 64
    channels: tuple[int, ...] = (32, 48, 96)
    groups: int = 2
    batch: int = 8
    permuted: float = 0.5
    kl_weight: float = 1e-6
    decay: float = 0.998
    seed: int = 0
    mixture: Mixture = ENCODING
    scored_mixture: Mixture = DRAWING


class VaeTraining:
    """An autoencoder with its optimizer, its average and the scenes it learns from."""

    def __init__(self, settings: VaeSettings, schedule: Schedule, artwork: Artwork) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.schedule, self.artwork = settings, schedule, artwork
        self.names = tuple(artwork)
        self.vae = new_vae(settings)
        self.optimizer = new_optimizer(self.vae.parameters())
        self.average = Average((self.vae,), settings.decay)

    def step(self, index: int) -> float:
        """Learn from one batch of fresh scenes."""
        self.optimizer.param_groups[0]["lr"] = self.schedule.rate(index)
        seen = self._batch(index)
        latents = self.vae.encode(seen).latent_dist
        made = self.vae.decode(latents.sample(torch_generator(self.settings.seed, index))).sample
        loss = difference(made, seen) + self.settings.kl_weight * latents.kl().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(index)
        return float(loss.detach())

    @torch.no_grad()
    def scores(self) -> dict[str, float]:
        """PSNR in dB (mean, per hue) and SSIM of the average weights on held-out scenes."""
        with self.average.applied():
            made = [
                reconstruct(self.vae, self.held_out[start : start + 16]) for start in range(0, HELD_OUT, 16)
            ]
        return reconstruction_scores([picture for chunk in made for picture in chunk], self.held_out)

    @cached_property
    def held_out(self) -> list[Image.Image]:
        """The pictures that are scored, the same ones every time."""
        generator = numpy_generator(2**32 - 1)
        scenes = [
            held_out_scene(generator, self.names, self.settings.scored_mixture) for _ in range(HELD_OUT)
        ]
        return [draw(scene, self.artwork, self.settings.side) for scene in scenes]

    def state(self) -> State:
        """Weights, averages and the optimizer's moments."""
        return {
            "vae": self.vae.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state(),
        }

    def restore(self, state: State) -> None:
        """Take over what `state` returned."""
        self.vae.load_state_dict(state["vae"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.restore(state["average"])

    def _batch(self, index: int) -> torch.Tensor:
        generator = numpy_generator(self.settings.seed, index)
        scenes = [
            training_scene(generator, self.names, self.settings.mixture) for _ in range(self.settings.batch)
        ]
        pictures = to_tensor([draw(scene, self.artwork, self.settings.side) for scene in scenes])
        return torch.stack([self._balanced(picture, generator) for picture in pictures])

    def _balanced(self, picture: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Exchange colour channels in some pictures: the art is mostly yellow and red, a code must not be."""
        if generator.random() >= self.settings.permuted:
            return picture
        return picture[torch.from_numpy(generator.permutation(3))]


def new_vae(settings: VaeSettings) -> AutoencoderKL:
    """An untrained autoencoder whose codes start nearly without noise."""
    levels = len(settings.channels)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=settings.channels,
        latent_channels=4,
        norm_num_groups=settings.groups,
        sample_size=settings.side,
    )
    with torch.no_grad():
        vae.quant_conv.weight[4:].zero_()
        vae.quant_conv.bias[4:].fill_(-6.0)
    return vae.to(memory_format=torch.channels_last)


def reconstruct(vae: AutoencoderKL, pictures: list[Image.Image]) -> list[Image.Image]:
    """Encode pictures, take the most likely latents, decode them again."""
    return to_pictures(vae.decode(vae.encode(to_tensor(pictures)).latent_dist.mode()).sample)


def difference(made: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """L1 + L2 + L1 of both image gradients + L1 of the two colour-opponent channels."""
    error = made - seen
    red, green, blue = error.unbind(1)
    chroma = (red - green).abs().mean() + ((red + green) / 2 - blue).abs().mean()
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return functional.l1_loss(made, seen) + error.square().mean() + edges + 0.5 * chroma
