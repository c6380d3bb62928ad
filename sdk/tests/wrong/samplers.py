"""Samplers that break one promise each; `fails` is the one test of the suite that must tell."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import pytest

from latentry_sdk import SamplerSpec
from latentry_sdk.testing import SamplerContract, SamplerSuite

NINE, SIXTY = 11, 62
"""How many levels the suite has for 9 and for 60 steps, with one that follows and the final 0."""


@dataclass(frozen=True)
class Euler:
    """Euler's method, with a change at the one or the other place."""

    tell: Callable[[Callable[..., None], int, Any, Any, bool], None] = lambda on_step, index, x, clean, _: (
        on_step(index, x, clean)
    )
    step: Callable[[Any], Any] = lambda x: x
    end: Callable[[Any, Any, Sequence[float]], Any] = lambda clean, _x, _sigmas: clean

    def __call__(
        self, denoise: Any, x: Any, sigmas: Sequence[float], *, on_step: Any = lambda *_: None
    ) -> Any:
        for index, (now, nxt) in enumerate(pairwise(sigmas)):
            clean = denoise(x, now)
            self.tell(on_step, index, x, clean, nxt == 0)
            if nxt == 0:
                return self.end(clean, x, sigmas)
            x = self.step(x + (x - clean) / now * (nxt - now))
        return x


def fresh(ask: Callable[[Any, float, float], Any], loudness: float = 1.0) -> Callable[..., Any]:
    """A sampler that goes to the clean picture and adds fresh noise; `ask` asks for it."""

    def sample(
        denoise: Any, x: Any, sigmas: Sequence[float], *, noise: Any, on_step: Any = lambda *_: None
    ) -> Any:
        for index, (now, nxt) in enumerate(pairwise(sigmas)):
            clean = denoise(x, now)
            on_step(index, x, clean)
            x = clean if nxt == 0 else clean + ask(noise, now, nxt) * (nxt * loudness)
        return x

    return sample


class Wrong(SamplerSuite):
    """A suite whose sampler is the class's own."""

    fails: ClassVar[str] = ""
    sampler: ClassVar[Any] = Euler()
    order: ClassVar[int] = 1

    @pytest.fixture
    def spec(self) -> SamplerSpec:
        return SamplerSpec("wrong", type(self).sampler, order=self.order)


class WrongNoise(SamplerContract):
    """A contract whose sampler draws noise."""

    fails: ClassVar[str] = ""
    sampler: ClassVar[Any]

    @pytest.fixture
    def spec(self) -> SamplerSpec:
        return SamplerSpec("wrong", vars(type(self))["sampler"].__func__, stochastic=True)


class TestRight(Wrong):
    """Euler's method breaks none."""


class TestRightNoise(WrongNoise):
    """Nor does fresh noise, of what is asked of samplers for distilled models."""

    sampler = staticmethod(fresh(lambda noise, now, nxt: noise(now, nxt)))


class TestTooLoud(WrongNoise):
    fails = "test_every_level_has_the_noise_that_its_sigma_says"
    sampler = staticmethod(fresh(lambda noise, now, nxt: noise(now, nxt), 1.01))


class TestAsksUpwards(WrongNoise):
    fails = "test_noise_is_asked_for_between_the_levels"
    sampler = staticmethod(fresh(lambda noise, now, nxt: noise(nxt, now)))


class TestKnowsFloats(Wrong):
    fails = "test_floats_and_arrays_give_the_same"
    sampler = Euler(step=lambda x: x + 1e-9 if isinstance(x, float) else x)


def tell_another(on_step: Callable[..., None], index: int, x: Any, clean: Any, last: bool) -> None:
    on_step(index, x, clean if last else clean * 2)


class TestTellsAnotherPicture(Wrong):
    fails = "test_on_step_is_called_once_a_step"
    sampler = Euler(tell=tell_another)


def tell_and_go_on(on_step: Callable[..., None], index: int, x: Any, clean: Any, _last: bool) -> None:
    with suppress(InterruptedError):
        on_step(index, x, clean)


class TestCannotBeStopped(Wrong):
    fails = "test_raising_from_on_step_ends_the_sampling"
    sampler = Euler(tell=tell_and_go_on)


class TestCannotDoOneStep(Wrong):
    fails = "test_the_last_step_gives_the_clean_picture"
    sampler = Euler(end=lambda clean, x, sigmas: clean if len(sigmas) > 2 else (clean + x) / 2)


class TestAddsAtNineSteps(Wrong):
    fails = "test_a_constant_denoiser_gives_the_constant"
    sampler = Euler(end=lambda clean, _x, sigmas: clean * 1.001 if len(sigmas) == NINE else clean)


class TestClaimsTooHighAnOrder(Wrong):
    fails = "test_its_order_of_accuracy_is_as_claimed"
    order = 2


class TestSpreadsAtSixtySteps(Wrong):
    fails = "test_samples_spread_as_the_data_does"
    sampler = Euler(end=lambda clean, _x, sigmas: clean * 1.3 if len(sigmas) == SIXTY else clean)
