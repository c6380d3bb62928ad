"""The suites as `latentry check` runs them: each for every spec of its kind that a distribution gives.

This is a module of tests for pytest, to which `latentry_sdk.testing.checking` hands the specs.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from latentry_sdk import (
    Component,
    DeviceSpec,
    Host,
    Request,
    SamplerSpec,
    SchedulerSpec,
    StageSpec,
    read_header,
)
from latentry_sdk.testing import (
    DeviceContract,
    DeviceSuite,
    OptimizerSuite,
    QuantizerSuite,
    SamplerSuite,
    SchedulerSuite,
    StageSuite,
    SurfaceSuite,
)
from latentry_sdk.testing.other_options import other_options
from latentry_sdk.testing.ranges import RANGES
from latentry_sdk.testing.stages_jobs import job_with


class TestDevices(DeviceSuite):
    """Devices of torch modules."""

    table: ClassVar[str] = "devices"

    @staticmethod
    def takes(spec: DeviceSpec) -> bool:
        """Whether it runs torch modules."""
        return "torch" in spec.kinds


class TestDevicesOfOtherKinds(DeviceContract):
    """Devices of something else, with a component of an installed model."""

    table: ClassVar[str] = "devices"

    @staticmethod
    def takes(spec: DeviceSpec) -> bool:
        """Whether it runs no torch modules."""
        return "torch" not in spec.kinds

    @pytest.fixture
    def component(self, spec: DeviceSpec) -> Component:
        """The first of an installed model."""
        with Host() as host:
            for entry in host.models():
                header = read_header(entry.path)
                for family in host.registry.models.values():
                    if family.kind in spec.kinds and (detected := family.detect(header)):
                        return next(iter(family.load(header, detected).values()))
        pytest.skip(f"no installed model has components of kind {', '.join(sorted(spec.kinds))}")


class TestSamplers(SamplerSuite):
    """Samplers."""

    table: ClassVar[str] = "samplers"

    @pytest.fixture(autouse=True)
    def _known(self, spec: SamplerSpec) -> None:
        _check_spaces(spec)


class TestSchedulers(SchedulerSuite):
    """Noise schedules."""

    table: ClassVar[str] = "schedulers"

    @pytest.fixture(autouse=True)
    def _known(self, spec: SchedulerSpec) -> None:
        _check_spaces(spec)


class TestOptimizers(OptimizerSuite):
    """Optimizers, by the defaults of their options."""

    table: ClassVar[str] = "optimizers"


class TestQuantizers(QuantizerSuite):
    """Quantizers, by each scheme that runs on the processor."""

    table: ClassVar[str] = "quantizers"


class TestStages(StageSuite):
    """Stages, by the defaults of their options."""

    table: ClassVar[str] = "stages"


class TestStagesByOtherOptions(StageSuite):
    """Stages, by options that differ from their defaults, so that what is off by default is on."""

    table: ClassVar[str] = "stages"
    test_its_module_imports_nothing_heavy: Any = None
    test_its_options_have_valid_defaults: Any = None

    @staticmethod
    def takes(spec: StageSpec) -> bool:
        """Whether it has options of other values."""
        return bool(other_options(spec.options))

    @pytest.fixture
    def asked(self, host: Host, spec: StageSpec) -> Request:
        """A job that has the stage by other options."""
        options: Mapping[str, Any] = other_options(spec.options)
        if (found := job_with(host, spec, options)) is None:
            pytest.skip(f"no installed task uses it by {dict(options)}")
        return found


class TestSurfaces(SurfaceSuite):
    """Surfaces."""

    table: ClassVar[str] = "surfaces"


def _check_spaces(spec: SamplerSpec | SchedulerSpec) -> None:
    if own := spec.spaces - RANGES.keys():
        pytest.skip(f"it is for models of a space of their own, {', '.join(sorted(own))}")
