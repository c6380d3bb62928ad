"""Each way of offloading keeps the contract of optimizers."""

from typing import ClassVar

import pytest

from latentry_offload import register_optimizers
from latentry_sdk.testing import OptimizerSuite

SPECS = {spec.name: spec for spec in register_optimizers()}


class TestModel(OptimizerSuite):
    """Whole components."""

    @pytest.fixture
    def spec(self):
        return SPECS["model-offload"]


class TestGroup(OptimizerSuite):
    """Blocks, of which some stay, and the next comes early."""

    options: ClassVar = {"keep": 200_000}

    @pytest.fixture
    def spec(self):
        return SPECS["group-offload"]


class TestSequential(OptimizerSuite):
    """Single layers."""

    @pytest.fixture
    def spec(self):
        return SPECS["sequential-offload"]


class TestDisk(OptimizerSuite):
    """Blocks from files."""

    @pytest.fixture
    def spec(self):
        return SPECS["disk-offload"]
