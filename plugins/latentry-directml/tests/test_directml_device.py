"""DirectML: what the probe says of machines, and what is asked of torch-directml, with stand-ins for both."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import latentry_directml
from latentry_directml import DirectMlOptions, probing
from latentry_directml.device import directml_place
from latentry_sdk import Component, Memory, OutOfMemory, Unavailable
from latentry_sdk.testing import DeviceSuite, heavy_imports
from latentry_sdk.torch_builds import TorchBuild
from latentry_sdk.torch_device import TorchDevice

OWN = TorchBuild("2.4.1+cpu")


@pytest.fixture
def windows(monkeypatch):
    """`windows(...)`: a machine with such packages."""

    def make(system="win32", installed=True, build=OWN, needs=("numpy", "torch==2.4.1")):
        monkeypatch.setattr(probing.sys, "platform", system)
        monkeypatch.setattr(probing, "find_spec", lambda name: name if installed else None)
        monkeypatch.setattr(probing, "torch_build", lambda: build)
        monkeypatch.setattr(probing, "requires", lambda name: needs)
        monkeypatch.setattr(probing, "version", lambda name: "0.2.5")

    return make


def test_with_the_torch_that_it_wants_it_is_there(windows):
    windows()
    report = probing.probe()
    assert (report.available, report.detail) == (True, "torch-directml 0.2.5, torch 2.4.1+cpu")
    assert report.dtypes == ("float32", "float16")
    assert report.rank > 10


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        ({"system": "linux"}, "DirectML is a part of Windows and of WSL"),
        ({"installed": False}, "torch-directml is not installed"),
        ({"build": None}, "torch is not installed"),
        (
            {"build": TorchBuild("2.13.0+cu130", cuda="13.0")},
            "torch-directml needs torch==2.4.1, found torch 2.13.0+cu130",
        ),
    ],
)
def test_what_is_missing_is_said(windows, given, detail):
    windows(**given)
    report = probing.probe()
    assert (report.available, report.detail) == (False, detail)
    assert report.fix == ("use another device" if "system" in given else probing.INSTALL)


def test_loading_and_probing_import_nothing_heavy():
    assert not heavy_imports("import latentry_directml; latentry_directml.register_devices()[0].probe()")


@pytest.fixture
def library(monkeypatch):
    """torch-directml with two GPUs."""
    fake = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 2,
        device_name=lambda index: ("Radeon", "GeForce")[index],
        device=lambda index: torch.device("privateuseone", index),
    )
    monkeypatch.setitem(sys.modules, "torch_directml", fake)
    return fake


def component(module=None):
    torch.manual_seed(0)
    module = module or torch.nn.Conv2d(4, 4, 3, padding=1)
    return Component("unet", "torch", module, lambda: (torch.randn(1, 4, 8, 8),), lambda: "digest")


def test_it_is_the_adapter_that_was_asked_for(library):
    place = directml_place(DirectMlOptions(adapter=1))
    assert place.home == f"{torch.device('privateuseone', 1)}"
    assert (place.memory(), place.doubles, place.shared) == (Memory(), False, False)


def test_its_jobs_run_without_gradients_and_outside_of_inference_mode(library):
    device = TorchDevice(replace(directml_place(DirectMlOptions()), home="cpu"))
    part = component()
    arrays = part.example()
    with device.activate():
        assert not torch.is_inference_mode_enabled()
        answer = device.place(part, None)(*arrays)
    assert not answer.requires_grad
    torch.testing.assert_close(answer, part.module(*arrays))


def test_its_lack_of_memory_is_told_as_such(library):
    class Greedy(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError(
                "Could not allocate tensor with 4 bytes. There is not enough GPU video memory!"
            )

    device = TorchDevice(replace(directml_place(DirectMlOptions()), home="cpu"))
    placed = device.place(component(Greedy()), None)
    with pytest.raises(OutOfMemory, match="directml has not enough memory"):
        placed(torch.ones(1))


def test_an_adapter_that_is_not_there_is_unavailable_and_the_others_are_named(library):
    with pytest.raises(Unavailable, match="no adapter 2; choose among 0: Radeon, 1: GeForce"):
        latentry_directml.open_directml(DirectMlOptions(adapter=2))
    library.is_available = lambda: False
    with pytest.raises(Unavailable, match="no adapter 0; choose among none"):
        latentry_directml.open_directml(DirectMlOptions())


@pytest.mark.hardware
class TestSuite(DeviceSuite):
    """The kit's own questions; most need Windows: `pytest -m hardware plugins/latentry-directml -rs`."""

    @pytest.fixture
    def spec(self):
        return latentry_directml.register_devices()[0]
