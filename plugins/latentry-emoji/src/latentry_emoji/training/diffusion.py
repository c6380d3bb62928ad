"""Train the denoiser and both text encoders together, in the layout of SDXL's inpainting model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel

from latentry_emoji.training.average import Average
from latentry_emoji.training.latents import Samples
from latentry_emoji.training.loop import Schedule, State, new_optimizer
from latentry_emoji.training.randomness import numpy_generator, torch_generator
from latentry_emoji.training.text import TextEncoders, TextSettings, new_text_encoders

TIMES = 1000
TIME_WIDTH = 16


@dataclass(frozen=True)
class DiffusionSettings:
    """The denoiser's size and how it is trained; the first level has no attention."""

    side: int = 64
    channels: tuple[int, ...] = (48, 96, 192)
    heads: tuple[int, ...] = (2, 4, 8)
    groups: int = 8
    batch: int = 32
    untold: float = 0.1
    gamma: float = 5.0
    decay: float = 0.9995
    seed: int = 0
    text: TextSettings = field(default_factory=TextSettings)


@dataclass
class Denoiser:
    """The modules that are trained together."""

    unet: UNet2DConditionModel
    text: TextEncoders

    @property
    def modules(self) -> tuple[torch.nn.Module, ...]:
        """The denoiser and both text encoders."""
        return self.unet, *self.text.modules


class DiffusionTraining:
    """A denoiser with its optimizer, its average and the samples it learns from."""

    def __init__(
        self,
        settings: DiffusionSettings,
        schedule: Schedule,
        samples: Samples,
        *,
        score: Callable[[Denoiser], dict[str, float]] | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.schedule, self.samples, self.score = settings, schedule, samples, score
        self.denoiser = new_denoiser(settings)
        self.tokens = self.denoiser.text.tokenize(samples.captions)
        self.scaling_factor = samples.scaling_factor
        self.kept_signal = noise_schedule().alphas_cumprod
        self.weights = [weight for module in self.denoiser.modules for weight in module.parameters()]
        self.optimizer = new_optimizer(self.weights)
        self.average = Average(self.denoiser.modules, settings.decay)

    def step(self, index: int) -> float:
        """Learn from one batch of samples."""
        self.optimizer.param_groups[0]["lr"] = self.schedule.rate(index)
        loss = self._loss(index)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.average.update(index)
        return float(loss.detach())

    def scores(self) -> dict[str, float]:
        """What `score` says of the average weights, if it was given."""
        with self.average.applied():
            return self.score(self.denoiser) if self.score else {}

    def state(self) -> State:
        """Weights, averages and the optimizer's moments."""
        return {
            "modules": [module.state_dict() for module in self.denoiser.modules],
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state(),
        }

    def restore(self, state: State) -> None:
        """Take over what `state` returned."""
        for module, saved in zip(self.denoiser.modules, state["modules"], strict=True):
            module.load_state_dict(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.restore(state["average"])

    def _loss(self, index: int) -> torch.Tensor:
        """Squared error of the noise, weighted with min(SNR, gamma) / SNR, arXiv:2303.09556."""
        generator = torch_generator(self.settings.seed, index, 2)
        chosen = self._chosen(index)
        clean, masked = (self._scaled(part[chosen]) for part in (self.samples.clean, self.samples.masked))
        times = even_times(len(chosen), generator)
        noise = torch.randn(clean.shape, generator=generator)
        kept = self.kept_signal[times].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
        told = torch.rand(len(chosen), generator=generator) >= self.settings.untold
        seen = torch.cat((noisy, self.samples.mask[chosen].float(), masked), 1)
        guess = predict(self.denoiser, seen, times, self.tokens[:, chosen], told, self.settings.side)
        ratio = kept / (1 - kept)
        weight: torch.Tensor = ratio.clamp(max=self.settings.gamma) / ratio
        return (weight * (guess - noise).square()).mean()

    def _scaled(self, latents: torch.Tensor) -> torch.Tensor:
        return latents.float() * self.scaling_factor

    def _chosen(self, index: int) -> torch.Tensor:
        generator = numpy_generator(self.settings.seed, index)
        return torch.from_numpy(generator.integers(len(self.samples), size=self.settings.batch))


def predict(
    denoiser: Denoiser,
    seen: torch.Tensor,
    times: torch.Tensor,
    tokens: torch.Tensor,
    told: torch.Tensor,
    side: int,
) -> torch.Tensor:
    """The noise in (count, 9, height, width) inputs; samples not `told` get zeros for their caption."""
    embeddings, pooled = denoiser.text(tokens)
    about = {
        "text_embeds": pooled * told[:, None],
        "time_ids": torch.tensor([[side, side, 0, 0, side, side]], dtype=torch.float32).repeat(len(seen), 1),
    }
    embeddings = embeddings * told[:, None, None]
    noise: torch.Tensor = denoiser.unet(seen, times, embeddings, added_cond_kwargs=about).sample
    return noise


def even_times(count: int, generator: torch.Generator) -> torch.Tensor:
    """Random timesteps, one in each of `count` equal parts of the schedule: less noise between batches."""
    return ((torch.arange(count) + torch.rand(count, generator=generator)) / count * TIMES).long()


def noise_schedule() -> DDPMScheduler:
    """Stable Diffusion's noise schedule."""
    return DDPMScheduler(TIMES, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def new_denoiser(settings: DiffusionSettings) -> Denoiser:
    """Untrained modules."""
    down = ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * (len(settings.channels) - 1)
    unet = UNet2DConditionModel(
        sample_size=settings.side // 4,
        in_channels=9,
        out_channels=4,
        down_block_types=down,
        up_block_types=tuple(block.replace("Down", "Up") for block in reversed(down)),
        block_out_channels=settings.channels,
        layers_per_block=1,
        norm_num_groups=settings.groups,
        cross_attention_dim=settings.text.joined_width,
        attention_head_dim=settings.heads,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_WIDTH,
        projection_class_embeddings_input_dim=settings.text.widths[1] + 6 * TIME_WIDTH,
    )
    return Denoiser(unet.to(memory_format=torch.channels_last), new_text_encoders(settings.text))
