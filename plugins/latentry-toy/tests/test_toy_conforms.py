"""The toy's device, samplers and schedule keep the contracts of the SDK."""

import pytest

import latentry_toy
from latentry_sdk import Component, DeviceSpec, SamplerSpec, SchedulerSpec
from latentry_sdk.testing import DeviceContract, SamplerSuite, SchedulerSuite


def double(value: float) -> float:
    return value * 2


class TestToyDevice(DeviceContract):
    @pytest.fixture
    def spec(self) -> DeviceSpec:
        return latentry_toy.register_devices()[0]

    @pytest.fixture
    def component(self) -> Component:
        return Component("double", "toy", double, lambda: (1.5,), lambda: "double")


class TestToySamplers(SamplerSuite):
    @pytest.fixture(params=latentry_toy.register_samplers(), ids=lambda spec: spec.name)
    def spec(self, request: pytest.FixtureRequest) -> SamplerSpec:
        spec: SamplerSpec = request.param
        return spec


class TestToySchedule(SchedulerSuite):
    @pytest.fixture
    def spec(self) -> SchedulerSpec:
        return latentry_toy.register_schedulers()[0]
