"""What a noise schedule must do."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from latentry_sdk import ModelRange, SchedulerSpec
from latentry_sdk.testing.ranges import RANGES

ROUNDING = 1e-9


class SchedulerSuite:
    """Subclass this and override the fixture `spec`, with `params` to test several schedules.

    `ranges` gives a model's noise levels for each space; override it for a schedule made for one model.
    `given` gives the options of a request; override it for a schedule that cannot do without some.
    """

    steps: tuple[int, ...] = (1, 2, 3, 10, 20, 50, 1000)

    @pytest.fixture
    def spec(self) -> SchedulerSpec:
        """The schedule under test."""
        raise NotImplementedError("override the fixture `spec`")

    def ranges(self, spec: SchedulerSpec) -> tuple[ModelRange, ...]:
        """The models to try it on: one for each space it claims."""
        return tuple(RANGES[space]() for space in sorted(spec.spaces))

    def given(self, spec: SchedulerSpec, steps: int) -> Mapping[str, Any]:  # noqa: ARG002
        """What the user sets for so many steps: nothing."""
        return {}

    def levels(self, spec: SchedulerSpec, steps: int, model_range: ModelRange) -> tuple[float, ...]:
        """The schedule called as the host calls it: with what is given, and the defaults of the rest."""
        options = spec.options.model_validate(dict(self.given(spec, steps)))
        return spec.sigmas(steps, model_range, **dict(options))

    def test_it_gives_one_level_more_than_steps(self, spec: SchedulerSpec) -> None:
        """As Python floats in a tuple."""
        for model_range in self.ranges(spec):
            for steps in self.steps:
                sigmas = self.levels(spec, steps, model_range)
                assert isinstance(sigmas, tuple)
                assert len(sigmas) == steps + 1
                assert {type(sigma) for sigma in sigmas} == {float}

    def test_levels_fall_to_zero(self, spec: SchedulerSpec) -> None:
        """Strictly, with 0 only at the end."""
        for model_range in self.ranges(spec):
            for steps in self.steps:
                sigmas = self.levels(spec, steps, model_range)
                assert sigmas[-1] == 0
                assert all(now > nxt for now, nxt in pairwise(sigmas))

    def test_levels_are_within_the_model_s_range(self, spec: SchedulerSpec) -> None:
        """Every level but the final 0 is one that the model was trained for."""
        for model_range in self.ranges(spec):
            for steps in self.steps:
                for sigma in self.levels(spec, steps, model_range)[:-1]:
                    assert model_range.sigma_min * (1 - ROUNDING) <= sigma
                    assert sigma <= model_range.sigma_max * (1 + ROUNDING)

    def test_the_same_request_gives_the_same_levels(self, spec: SchedulerSpec) -> None:
        """Exactly."""
        for model_range in self.ranges(spec):
            assert self.levels(spec, 20, model_range) == self.levels(spec, 20, model_range)

    def test_its_options_have_valid_defaults(self, spec: SchedulerSpec) -> None:
        """What it declares can be left out, survives being written and read, and is what it accepts."""
        defaults = spec.options()
        assert type(defaults).model_validate(defaults.model_dump()) == defaults
        for model_range in self.ranges(spec):
            left_out = spec.sigmas(20, model_range, **self.given(spec, 20))
            assert left_out == pytest.approx(self.levels(spec, 20, model_range), rel=1e-6)
