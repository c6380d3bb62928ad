"""The suite of devices, asked of what GPUs share: it records each part of the tiny models and replays it."""

from dataclasses import replace
from functools import partial

import pytest

from latentry_sdk import DeviceReport, DeviceSpec, Memory
from latentry_sdk.testing import DeviceSuite
from latentry_sdk.testing.devices import BOUNDS
from latentry_sdk.testing.gpus import FakeGpu
from latentry_sdk.torch_device import TorchDevice
from latentry_sdk.torch_gpu import Gpu, GraphOptions

DTYPES = ("float32", "float8_e4m3fn")


class TestRecordedCalls(DeviceSuite):
    """On the CPU: torch there computes in float32 at a usable speed, and keeps weights in 8 bits."""

    bounds = {**BOUNDS, "float8_e4m3fn": 0.1}  # noqa: RUF012

    @pytest.fixture
    def api(self):
        return FakeGpu()

    @pytest.fixture
    def spec(self, api):
        def opened(options):
            gpu = Gpu(api, name="gpu", home="cuda:0", index=0, options=options)
            return TorchDevice(replace(gpu.place(DTYPES), home="cpu", wide="float32"))

        memory = Memory(api.total, api.free)
        report = partial(DeviceReport, True, "a stand-in", None, DTYPES, memory, 0)
        return DeviceSpec("gpu", report, opened, options=GraphsOfEight)

    def test_that_calls_were_recorded(self, api, device, part):
        placed = device.place(part.component, None)
        with device.activate():
            for _ in range(2):
                placed(*part.component.example())
        assert [graph.replays for graph in api.graphs] == [2]


class GraphsOfEight(GraphOptions):
    """Records calls without being told to."""

    graphs: int = 8
