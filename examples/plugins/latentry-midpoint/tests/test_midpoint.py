"""The midpoint sampler keeps the contract of samplers."""

import pytest

from latentry_midpoint import register_samplers
from latentry_sdk import SamplerSpec
from latentry_sdk.testing import SamplerSuite


class TestMidpoint(SamplerSuite):
    """What every sampler must do, its order of accuracy included."""

    @pytest.fixture
    def spec(self) -> SamplerSpec:
        """The sampler under test."""
        return register_samplers()[0]
