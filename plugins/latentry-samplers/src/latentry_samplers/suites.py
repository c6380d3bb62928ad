"""The suites that these samplers are held to, for `latentry check`.

Those that choose their own steps are left out: on_step is not called once for each level.
"""

import pytest

from latentry_samplers.catalogue import CFG_PP, DISTILLED, ORDINARY, STOCHASTIC
from latentry_sdk import SamplerSpec
from latentry_sdk.testing import SamplerContract, SamplerSuite


def named(spec: SamplerSpec) -> str:
    """What a test is called by."""
    return spec.name


class TestSamplers(SamplerSuite):
    """Solvers keep the contract and their claims."""

    @pytest.fixture(params=[*ORDINARY, *STOCHASTIC, *CFG_PP], ids=named)
    def spec(self, request: pytest.FixtureRequest) -> SamplerSpec:
        """The sampler under test."""
        spec: SamplerSpec = request.param
        return spec


class TestDistilled(SamplerContract):
    """Samplers for distilled models keep the contract; more and smaller steps are not what they are for."""

    @pytest.fixture(params=DISTILLED, ids=named)
    def spec(self, request: pytest.FixtureRequest) -> SamplerSpec:
        """The sampler under test."""
        spec: SamplerSpec = request.param
        return spec
