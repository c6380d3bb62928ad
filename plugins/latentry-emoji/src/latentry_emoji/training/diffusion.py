"""Train the denoiser and both text encoders together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from latentry_emoji.training.average import Average
from latentry_emoji.training.denoiser import Denoiser, DenoiserSettings, new_denoiser
from latentry_emoji.training.latents import Samples
from latentry_emoji.training.learners import Cores, Gradients, Graph
from latentry_emoji.training.loop import Schedule, State, new_optimizer
from latentry_emoji.training.noising import Batch, Noiser
from latentry_emoji.training.randomness import numpy_generator, torch_generator


@dataclass(frozen=True)
class DiffusionSettings:
    """How the denoiser is trained.

    `untold` is the share of samples without their caption. `gamma` and `steepest` bound the weights of the
    loss, see `loss_weight`; `decay` is the average's. Free cores take the `parts` of a batch one by one:
    their number decides in what order gradients are summed, the number of cores does not. A CUDA card takes a
    batch whole.
    """

    denoiser: DenoiserSettings = field(default_factory=DenoiserSettings)
    batch: int = 32
    parts: int = 2
    untold: float = 0.1
    gamma: float = 5.0
    steepest: float = 20.0
    decay: float = 0.9995
    seed: int = 0


class DiffusionTraining:
    """A denoiser with its optimizer, its average and its samples, on so many cores or on a CUDA device."""

    def __init__(
        self,
        settings: DiffusionSettings,
        schedule: Schedule,
        samples: Samples,
        *,
        score: Callable[[Denoiser], dict[str, float]] | None = None,
        cores: int = 1,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.schedule, self.score, self.count = settings, schedule, score, len(samples)
        self.denoiser, self.device = new_denoiser(settings.denoiser), torch.device(device)
        tokens = self.denoiser.text.tokenize(samples.captions).transpose(0, 1)
        self.noised = Noiser(samples, tokens, settings.untold, self.device)
        for module in self.denoiser.modules:
            module.to(self.device)
        self.weights = [weight for module in self.denoiser.modules for weight in module.parameters()]
        self.optimizer = new_optimizer(self.weights)
        self.average = Average(self.denoiser.modules, settings.decay)
        on_card = self.device.type == "cuda"
        self.learn = Graph(self._learn) if on_card else Cores(self._learn, settings.parts, cores)

    def step(self, index: int) -> float:
        """Learn from one batch of samples."""
        self.optimizer.param_groups[0]["lr"] = self.schedule.rate(index)
        generator = torch_generator(self.settings.seed, index, 2, device=self.device)
        loss, gradients = self.learn(self.noised(self._chosen(index), generator))
        for weight, gradient in zip(self.weights, gradients, strict=True):
            weight.grad = gradient
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.average.update(index)
        return float(loss)

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

    def _learn(self, batch: Batch) -> tuple[torch.Tensor, Gradients]:
        """The loss of a batch and its gradient by each weight."""
        guess = self.denoiser(batch.seen, batch.times, batch.tokens, batch.told)
        weight = loss_weight(batch.kept, self.settings.gamma, self.settings.steepest)
        loss = (weight * (guess - batch.noise).square()).mean()
        return loss.detach(), torch.autograd.grad(loss, self.weights, materialize_grads=True)

    def _chosen(self, index: int) -> torch.Tensor:
        generator = numpy_generator(self.settings.seed, index)
        return torch.from_numpy(generator.integers(self.count, size=self.settings.batch))


def loss_weight(kept: torch.Tensor, gamma: float, steepest: float) -> torch.Tensor:
    """The weight of the noise's squared error: min(SNR + 1, gamma) / SNR, at most `steepest`.

    On the clean picture it is the "SNR + 1" weight of arXiv:2202.00512, cut at `gamma` as in
    arXiv:2303.09556: high noise, where the caption decides what is drawn, counts as much as low noise does.
    """
    ratio = kept / (1 - kept)
    return ((ratio + 1).clamp(max=gamma) / ratio).clamp(max=steepest)
