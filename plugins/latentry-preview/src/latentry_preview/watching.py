"""Watch a job's sampling: what the denoiser gives, and when a step is told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from latentry_preview.drawing import drawn
from latentry_preview.factors import factors_of
from latentry_sdk import DENOISE, JOB, LATENTS, Denoise, Event, Job, Preview, Previewed, State, Stepped
from latentry_sdk.images import Separable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Watcher:
    """Remembers what the model gave last, and draws it when a step is told that is due.

    A sampler asks the model first and then tells of the step, however often it asks the model after that,
    so what the model gave last is then that step's clean picture.
    """

    job: Job
    every: int
    draw: "Callable[[Tensor, int], tuple[Preview, ...]]"
    _shown: int = 0
    _last: "tuple[Tensor, int] | None" = None

    def look(self, denoise: "Denoise[Tensor]", first: int, x: "Tensor", sigma: float) -> "Tensor":
        """What the denoiser gives, remembered as of image `first` of the batch and those after it."""
        clean = denoise(x, sigma)
        self._last = clean, first
        return clean

    def notify(self, event: Event) -> None:
        """Pass the event on, and a `Previewed` after the first step at or past each multiple of `every`."""
        self.job.notify(event)
        if isinstance(event, Stepped) and event.step // self.every > self._shown and self._last:
            self._shown = event.step // self.every
            (clean, first), self._last = self._last, None
            self.job.notify(Previewed(event.job, event.step, event.steps, self.draw(clean, first)))


@dataclass(frozen=True)
class Watched:
    """A denoiser that is watched, and can be asked for one image as the one inside can."""

    watcher: Watcher
    inner: Any

    def __call__(self, x: "Tensor", sigma: float) -> "Tensor":
        """What the denoiser inside gives."""
        return self.watcher.look(self.inner, 0, x, sigma)

    def alone(self, index: int) -> "Denoise[Tensor]":
        """The denoiser of this image only, watched."""
        return partial(self.watcher.look, self.inner.alone(index), index)


def watched(state: State, every: int, size: int | None) -> State:
    """The state whose job and denoiser are watched."""
    import torch

    job, inner = state[JOB], state[DENOISE]
    factors = torch.tensor(factors_of(state), device=state[LATENTS].device)
    watcher = Watcher(job, every, partial(drawn, factors, size))
    separable = isinstance(inner, Separable)
    seen: Denoise[Tensor] = Watched(watcher, inner) if separable else partial(watcher.look, inner, 0)
    return state.put(DENOISE, seen).put(JOB, replace(job, notify=watcher.notify))
