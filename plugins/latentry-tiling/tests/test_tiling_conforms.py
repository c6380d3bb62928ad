"""Tiling and slicing keep the contract of optimizers."""

from typing import ClassVar

import pytest

from latentry_sdk.testing import OptimizerSuite
from latentry_tiling import register_optimizers

SPECS = {spec.name: spec for spec in register_optimizers()}


class TestTiling(OptimizerSuite):
    """With pieces small enough for the suite's pictures."""

    size = (40, 36)
    options: ClassVar = {"tile": 64, "halo": 16}

    @pytest.fixture
    def spec(self):
        return SPECS["vae-tiling"]


class TestSlicing(OptimizerSuite):
    """The suite counts memory for one picture, which slicing leaves as it is."""

    @pytest.fixture
    def spec(self):
        return SPECS["vae-slicing"]
