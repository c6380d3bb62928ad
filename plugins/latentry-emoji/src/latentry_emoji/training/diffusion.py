"""Train the denoiser and both text encoders together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch

from latentry_emoji.training.average import Average
from latentry_emoji.training.denoiser import Denoiser, DenoiserSettings, new_denoiser
from latentry_emoji.training.latents import Samples
from latentry_emoji.training.loop import Schedule, State, new_optimizer
from latentry_emoji.training.noising import Batch, Noiser
from latentry_emoji.training.randomness import numpy_generator, torch_generator

Gradients = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class DiffusionSettings:
    """How the denoiser is trained.

    `untold` is the share of samples without their caption. `gamma` and `steepest` bound the weights of the
    loss, see `loss_weight`; `decay` is the average's. Free cores take the `parts` of a batch one by one:
    their number decides in what order gradients are summed, the number of cores does not.
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
    """A denoiser with its optimizer, its average and the samples it learns from, on so many cores."""

    def __init__(
        self,
        settings: DiffusionSettings,
        schedule: Schedule,
        samples: Samples,
        *,
        score: Callable[[Denoiser], dict[str, float]] | None = None,
        cores: int = 1,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.schedule, self.score, self.count = settings, schedule, score, len(samples)
        self.denoiser = new_denoiser(settings.denoiser)
        tokens = self.denoiser.text.tokenize(samples.captions).transpose(0, 1)
        self.noised = Noiser(samples, tokens, settings.untold)
        self.weights = [weight for module in self.denoiser.modules for weight in module.parameters()]
        self.optimizer = new_optimizer(self.weights)
        self.average = Average(self.denoiser.modules, settings.decay)
        self.cores = ThreadPoolExecutor(cores)

    def step(self, index: int) -> float:
        """Learn from one batch of samples."""
        self.optimizer.param_groups[0]["lr"] = self.schedule.rate(index)
        batch = self.noised(self._chosen(index), torch_generator(self.settings.seed, index, 2))
        losses, gradients = zip(*self.cores.map(self._learn, batch.parts(self.settings.parts)), strict=True)
        for weight, gradient in zip(self.weights, mean_of(gradients), strict=True):
            weight.grad = gradient
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.average.update(index)
        return float(sum(losses) / len(losses))

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

    def _learn(self, batch: Batch) -> tuple[float, Gradients]:
        """The loss of a batch and its gradient by each weight."""
        guess = self.denoiser(batch.seen, batch.times, batch.tokens, batch.told)
        weight = loss_weight(batch.kept, self.settings.gamma, self.settings.steepest)
        loss = (weight * (guess - batch.noise).square()).mean()
        return float(loss.detach()), torch.autograd.grad(loss, self.weights, materialize_grads=True)

    def _chosen(self, index: int) -> torch.Tensor:
        generator = numpy_generator(self.settings.seed, index)
        return torch.from_numpy(generator.integers(self.count, size=self.settings.batch))


def mean_of(gradients: Sequence[Gradients]) -> Gradients:
    """The mean of several gradients, put together in place of the first."""
    total, *others = gradients
    for other in others:
        torch._foreach_add_(total, other)
    torch._foreach_div_(total, len(gradients))
    return total


def loss_weight(kept: torch.Tensor, gamma: float, steepest: float) -> torch.Tensor:
    """The weight of the noise's squared error: min(SNR + 1, gamma) / SNR, at most `steepest`.

    On the clean picture it is the "SNR + 1" weight of arXiv:2202.00512, cut at `gamma` as in
    arXiv:2303.09556: high noise, where the caption decides what is drawn, counts as much as low noise does.
    """
    ratio = kept / (1 - kept)
    return ((ratio + 1).clamp(max=gamma) / ratio).clamp(max=steepest)
