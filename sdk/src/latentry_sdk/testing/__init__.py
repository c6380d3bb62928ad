"""Conformance suites: subclass one, give it your spec, and pytest tells if the plugin keeps its contract."""

import pytest

SUITES = (
    "devices",
    "devices_models",
    "devices_limits",
    "optimizers",
    "quantizers",
    "samplers",
    "schedulers",
    "stages",
    "surfaces",
)
QUEUES = ("queues_parts", "queues_lines", "queues_leases", "queues_ends", "queues_once")
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in (*SUITES, *QUEUES)))

from latentry_sdk.testing.devices import DeviceContract  # noqa: E402
from latentry_sdk.testing.devices_limits import DeviceSuite  # noqa: E402
from latentry_sdk.testing.imports import HEAVY, heavy_imports  # noqa: E402
from latentry_sdk.testing.optimizers import OptimizerSuite  # noqa: E402
from latentry_sdk.testing.problems import Gaussian, Mixture  # noqa: E402
from latentry_sdk.testing.quantizers import QuantizerSuite  # noqa: E402
from latentry_sdk.testing.queues import QueueSuite  # noqa: E402
from latentry_sdk.testing.ranges import flow_range, stable_diffusion_range  # noqa: E402
from latentry_sdk.testing.row import Row  # noqa: E402
from latentry_sdk.testing.samplers import SamplerContract, SamplerSuite  # noqa: E402
from latentry_sdk.testing.samplers_order import measured_order  # noqa: E402
from latentry_sdk.testing.schedulers import SchedulerSuite  # noqa: E402
from latentry_sdk.testing.stages import StageSuite  # noqa: E402
from latentry_sdk.testing.surfaces import SurfaceSuite  # noqa: E402

__all__ = [
    "HEAVY",
    "DeviceContract",
    "DeviceSuite",
    "Gaussian",
    "Mixture",
    "OptimizerSuite",
    "QuantizerSuite",
    "QueueSuite",
    "Row",
    "SamplerContract",
    "SamplerSuite",
    "SchedulerSuite",
    "StageSuite",
    "SurfaceSuite",
    "flow_range",
    "heavy_imports",
    "measured_order",
    "stable_diffusion_range",
]
