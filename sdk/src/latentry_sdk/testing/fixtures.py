"""The pytest plugin that comes with the SDK: noise ranges to test with. It imports nothing heavy."""

import pytest

from latentry_sdk import ModelRange
from latentry_sdk.testing import ranges


@pytest.fixture(scope="session")
def stable_diffusion_range() -> ModelRange:
    """The noise levels of Stable Diffusion 1, 2 and XL."""
    return ranges.stable_diffusion_range()


@pytest.fixture(scope="session")
def flow_range() -> ModelRange:
    """The noise levels of a flow model without shift."""
    return ranges.flow_range()
