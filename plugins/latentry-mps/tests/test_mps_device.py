"""Apple's GPU: what the probe says of machines, and what is asked of torch, with stand-ins for both."""

from dataclasses import replace

import pytest
import torch

import latentry_mps
from latentry_mps import MpsOptions, probing
from latentry_mps.device import mps_place
from latentry_sdk import Component, Memory, OutOfMemory, Unavailable
from latentry_sdk.machine import system_memory
from latentry_sdk.testing import DeviceSuite, heavy_imports
from latentry_sdk.torch_builds import TorchBuild
from latentry_sdk.torch_device import TorchDevice

GIB = 1 << 30
BUILD = TorchBuild("2.13.0")


@pytest.fixture
def mac(monkeypatch):
    """`mac(...)`: a machine of this kind."""

    def make(system="darwin", machine="arm64", version="15.1", build=BUILD):
        monkeypatch.setattr(probing.sys, "platform", system)
        monkeypatch.setattr(probing.platform, "machine", lambda: machine)
        monkeypatch.setattr(probing.platform, "mac_ver", lambda: (version, ("", "", ""), ""))
        monkeypatch.setattr(probing, "torch_build", lambda: build)

    return make


def test_a_mac_of_apples_is_told_with_its_memory_and_types(mac):
    mac()
    (spec,) = latentry_mps.register_devices()
    report = spec.probe()
    assert (report.available, report.detail) == (True, "Apple GPU, macOS 15.1, torch 2.13.0")
    assert report.dtypes == ("float32", "float16", "bfloat16")
    assert "float64" not in report.dtypes
    assert report.memory.total == spec.memory().total == system_memory().total
    assert report.rank > 10


@pytest.mark.parametrize(
    ("given", "detail", "fix"),
    [
        ({"system": "linux"}, "this is no Mac with a processor of Apple's", "use another device"),
        ({"machine": "x86_64"}, "this is no Mac with a processor of Apple's", "use another device"),
        ({"version": "13.6"}, "macOS 13.6 is too old", "update to macOS 14 or later"),
        ({"build": None}, "torch is not installed", "pip install torch"),
    ],
)
def test_what_is_missing_is_said(mac, given, detail, fix):
    mac(**given)
    report = probing.probe()
    assert (report.available, report.detail, report.fix) == (False, detail, fix)


def test_loading_and_probing_import_nothing_heavy():
    assert not heavy_imports("import latentry_mps; latentry_mps.register_devices()[0].probe()")


class FakeMps:
    """`torch.mps` of a Mac of 16 GiB."""

    def __init__(self, used, driver):
        self.used, self.driver, self.emptied = used, driver, 0

    def recommended_max_memory(self):
        return 11 * GIB

    def current_allocated_memory(self):
        return self.used

    def driver_allocated_memory(self):
        return self.driver

    def empty_cache(self):
        self.emptied += 1


@pytest.fixture
def api(monkeypatch):
    fake = FakeMps(used=2 * GIB, driver=3 * GIB)
    for name in (
        "recommended_max_memory",
        "current_allocated_memory",
        "driver_allocated_memory",
        "empty_cache",
    ):
        monkeypatch.setattr(torch.mps, name, getattr(fake, name))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    return fake


def test_memory_is_what_metal_advises_and_what_the_system_has_left(api, monkeypatch):
    place = mps_place(MpsOptions())
    for left, free in ((99, 9), (4, 5)):  # torch keeps one GiB that it does not use
        monkeypatch.setattr(
            "latentry_mps.device.system_memory", lambda left=left: Memory(16 * GIB, left * GIB)
        )
        assert place.memory() == Memory(total=11 * GIB, free=free * GIB)


def component():
    torch.manual_seed(0)
    module = torch.nn.Conv2d(4, 4, 3, padding=1)
    return Component("unet", "torch", module, lambda: (torch.randn(1, 4, 8, 8),), lambda: "digest")


@pytest.mark.parametrize("move", [True, False])
def test_weights_are_moved_and_brought_back_or_copied(api, move):
    place, part = mps_place(MpsOptions(move=move)), component()
    assert (place.home, place.shared, place.doubles) == ("mps", move, False)
    device = TorchDevice(replace(place, home="cpu"))
    placed = device.place(part, None)
    assert (placed.module is part.module) is move
    torch.testing.assert_close(placed(*(arrays := part.example())), part.module(*arrays))
    placed.close()
    device.close()
    assert api.emptied == 1


def test_metals_lack_of_memory_is_told_as_such(api):
    class Greedy(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError("MPS backend out of memory (MPS allocated: 9 GB, other allocations: 1 GB)")

    device = TorchDevice(replace(mps_place(MpsOptions()), home="cpu"))
    placed = device.place(replace(component(), module=Greedy()), None)
    with pytest.raises(OutOfMemory, match="mps has not enough memory"):
        placed(torch.ones(1))


def test_a_gpu_that_torch_does_not_see_is_unavailable(monkeypatch):
    assert not torch.backends.mps.is_built()
    with pytest.raises(Unavailable, match="it was built for another system; pip install torch"):
        latentry_mps.open_mps(MpsOptions())
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    with pytest.raises(Unavailable, match="it was built for a newer macOS"):
        latentry_mps.open_mps(MpsOptions())


class Copying(MpsOptions):
    """The suite calls a component's own module beside the placed one."""

    move: bool = False


@pytest.mark.hardware
class TestSuite(DeviceSuite):
    """The kit's own questions; most need a Mac: `pytest -m hardware plugins/latentry-mps -rs`."""

    @pytest.fixture
    def spec(self):
        return replace(latentry_mps.register_devices()[0], options=Copying)
