"""The suite that these schedules are held to, for `latentry check`."""

from collections.abc import Mapping
from typing import Any

import pytest

import latentry_schedules
from latentry_sdk import ModelRange, SchedulerSpec
from latentry_sdk.testing import SchedulerSuite

ALL = {spec.name: spec for spec in latentry_schedules.register_schedulers()}


class TestSchedules(SchedulerSuite):
    """All; those that the user writes out get even levels."""

    @pytest.fixture(params=ALL.values(), ids=[*ALL])
    def spec(self, request: pytest.FixtureRequest) -> SchedulerSpec:
        """The schedule under test."""
        spec: SchedulerSpec = request.param
        return spec

    def given(self, spec: SchedulerSpec, steps: int) -> Mapping[str, Any]:
        """The levels or timesteps that the user would have written."""
        highest = {"sigmas": 1.0, "timesteps": 999.0}.get(spec.name)
        return {"values": tuple(highest * (1 - i / (steps + 1)) for i in range(steps))} if highest else {}

    def ranges(self, spec: SchedulerSpec) -> tuple[ModelRange, ...]:
        """Levels that are written out need not be the model's."""
        return super().ranges(spec) if spec.name != "sigmas" else (ModelRange((1e-4, 1.0)),)
