"""Whole jobs on a device that records calls draw what the processor draws, also where a stage changes it.

The device is that of GPUs, with a stand-in for `torch.cuda` that computes on the processor.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import latentry_cpu
import latentry_emoji
import latentry_images
import latentry_samplers
import latentry_schedules
import latentry_seamless
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Host, Request
from latentry_sdk import Device, DeviceReport, DeviceSpec, Options, hookimpl
from latentry_sdk.testing.gpus import FakeGpu
from latentry_sdk.torch_device import TorchDevice
from latentry_sdk.torch_gpu import Gpu, GraphOptions

PLUGINS = (
    latentry_cpu,
    latentry_emoji,
    latentry_images,
    latentry_samplers,
    latentry_schedules,
    latentry_seamless,
    latentry_stable_diffusion,
    latentry_txt2img,
)
SEAMLESS = {"seamless_x": True, "seamless_y": True}


class Pretend:
    """The device `gpu`, with its stand-in as `api`."""

    def __init__(self) -> None:
        self.api = FakeGpu()

    @hookimpl
    def register_devices(self) -> Sequence[DeviceSpec]:
        """One device, taken only where it is asked for."""
        report = partial(DeviceReport, True, "a stand-in")
        return [DeviceSpec("gpu", report, self.opened, options=GraphOptions)]

    def opened(self, options: Options) -> Device:
        """Like a GPU's device, but that its home is the processor."""
        assert isinstance(options, GraphOptions)
        gpu = Gpu(self.api, name="gpu", home="cuda:0", index=0, options=options)
        return TorchDevice(replace(gpu.place(("float32",)), home="cpu"))

    @property
    def replays(self) -> int:
        """How many calls were replayed so far."""
        return sum(graph.replays for graph in self.api.graphs)


@pytest.fixture(scope="module")
def gpu() -> Pretend:
    return Pretend()


@pytest.fixture(scope="module")
def host(gpu: Pretend) -> Iterator[Host]:
    with contextlib.closing(Host(plugins=[*PLUGINS, gpu])) as host:
        assert {record.status for record in host.records} == {"active"}, host.records
        yield host


def pixels(host: Host, device: str, **options: object) -> np.ndarray:
    """The picture of one job whose components are all on the device."""
    recorded = {"gpu": {"graphs": 8}} if device == "gpu" else {}
    request = Request(
        task="txt2img",
        prompt="a red apple",
        seed=3,
        steps=4,
        guidance=3,
        place={"*": device},
        options={**recorded, **options},
    )
    return np.asarray(host.run(request).artifacts[0].open(), dtype=int)


def test_recorded_jobs_draw_what_the_processor_draws_also_between_changes_of_the_model(
    host: Host, gpu: Pretend
) -> None:
    """A recording would draw the model as it was: pictures that tile are drawn plainly."""
    plain, tiled = pixels(host, "cpu"), pixels(host, "cpu", seamless=SEAMLESS)
    assert np.abs(plain - tiled).max() > 8
    pixels(host, "gpu")  # from here on the embeddings are known, so that text encoders are not called
    found, replays = [], []
    for options in ({}, {"seamless": SEAMLESS}, {}):
        before = gpu.replays
        found.append(pixels(host, "gpu", **options))
        replays.append(gpu.replays - before)
    for drawn, wanted in zip(found, (plain, tiled, plain), strict=True):
        assert np.abs(drawn - wanted).max() <= 1
    plain_replays, without_unet, again = replays
    assert plain_replays == again > without_unet + 4
