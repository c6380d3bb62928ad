"""Count how often a job asks its model, without the model."""

from contextlib import suppress
from dataclasses import dataclass

from latentry.errors import blamed
from latentry.plan import Plan
from latentry_sdk.noising import levels_left

STRENGTH = "strength"
"""The option of a task that begins with a picture: the share of the steps that it runs."""


MOST = 20_000
"""Calls after which counting ends: 1000 steps have a few thousand."""


def evaluations(plan: Plan) -> int:
    """Calls of the denoiser while the plan's sampler goes through its levels, which it does on a number.

    Of a sampler that chooses its own steps the fewest are counted, as the clean picture is 0 wherever it is
    asked for, and no more than `MOST`. A task that has a plan of its own beside this one keeps its strength
    for that.
    """
    asked, sampler, sigmas = _Asked(), plan.sampler, levels_left(plan.sigmas, _strength(plan))
    given = dict(plan.options_for(sampler))
    given |= {"noise": lambda _now, _nxt: 0.0} if sampler.stochastic else {}
    given |= {"unguided": asked.unguided} if sampler.unguided else {}
    with blamed(f"sampler {sampler.name!r}"), suppress(_Enough):
        sampler.sample(asked.denoise, sigmas[0], sigmas, on_step=lambda *_step: None, **given)
    return asked.calls


class _Enough(Exception):
    """Ends a sampler that asks on and on."""


@dataclass
class _Asked:
    """Stands for a model, and counts; what is seen without the prompt comes with the last answer for free."""

    calls: int = 0
    last: tuple[float, float] | None = None

    def denoise(self, x: float, sigma: float) -> float:
        self.last = x, sigma
        return self._counted()

    def unguided(self, x: float, sigma: float) -> float:
        return 0.0 if self.last == (x, sigma) else self._counted()

    def _counted(self) -> float:
        if self.calls >= MOST:
            raise _Enough
        self.calls += 1
        return 0.0


def _strength(plan: Plan) -> float:
    is_own = plan.further.get(plan.task.name) is None
    return getattr(plan.options_for(plan.task), STRENGTH, 1.0) if is_own else 1.0
