"""Noise schedules that break one promise each; `fails` is the one test of the suite that must tell."""

import random
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from latentry_sdk import ModelRange, Number, Options, SchedulerSpec
from latentry_sdk.testing import SchedulerSuite

Levels = tuple[float, ...]


def even(steps: int, model_range: ModelRange, rho: float = 1.0) -> Levels:
    """Levels from the highest to the lowest, even in their root."""
    high, low = model_range.sigma_max ** (1 / rho), model_range.sigma_min ** (1 / rho)
    return (*((high + (low - high) * i / steps) ** rho for i in range(steps)), 0.0)


class Shape(Options):
    rho: Number = 1.0


class OtherShape(Options):
    rho: Number = 2.0


class Wrong(SchedulerSuite):
    """A suite whose schedule is the class's own change of an even one."""

    fails: ClassVar[str] = ""
    of: ClassVar[type[Options]] = Shape
    change: ClassVar[Callable[[Levels], Any]] = staticmethod(lambda levels: levels)

    @pytest.fixture
    def spec(self) -> SchedulerSpec:
        change = type(self).change

        def sigmas(steps: int, model_range: ModelRange, rho: float = 1.0) -> Any:
            return change(even(steps, model_range, rho))

        return SchedulerSpec("wrong", sigmas, options=self.of)


class TestRight(Wrong):
    """Even levels break none."""


class TestGivesAList(Wrong):
    fails = "test_it_gives_one_level_more_than_steps"
    change = staticmethod(list)


class TestRises(Wrong):
    fails = "test_levels_fall_to_zero"
    change = staticmethod(lambda levels: (*levels[-2::-1], 0.0))


class TestBeginsTooHigh(Wrong):
    fails = "test_levels_are_within_the_model_s_range"
    change = staticmethod(lambda levels: (levels[0] * 2, *levels[1:]))


class TestRollsDice(Wrong):
    fails = "test_the_same_request_gives_the_same_levels"
    change = staticmethod(lambda levels: tuple(level * (1 - 1e-10 * random.random()) for level in levels))


class TestDeclaresAnotherDefault(Wrong):
    fails = "test_its_options_have_valid_defaults"
    of = OtherShape
