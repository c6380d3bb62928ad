"""Intel's extension: what the probe says of packages, and what is asked of it, with stand-ins for both."""

import sys
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

import latentry_ipex
from latentry_ipex import IpexOptions, probing
from latentry_ipex.device import ipex_place
from latentry_ipex.runtime import load_extension
from latentry_sdk import Component, Unavailable
from latentry_sdk.testing import DeviceSuite, heavy_imports
from latentry_sdk.torch_builds import TorchBuild
from latentry_sdk.torch_device import TorchDevice


@pytest.fixture
def packages(monkeypatch):
    """`packages(extension, build)`: the installed versions."""

    def make(extension="2.8.0", build=TorchBuild("2.8.0+cpu")):  # noqa: B008
        def version(name):
            if extension is None:
                raise PackageNotFoundError(name)
            return extension

        monkeypatch.setattr(probing, "version", version)
        monkeypatch.setattr(probing, "find_spec", lambda name: name)
        monkeypatch.setattr(probing, "torch_build", lambda: build)

    return make


def test_with_the_torch_of_its_version_it_is_there(packages):
    packages()
    report = probing.probe()
    assert (report.available, report.detail) == (True, "intel-extension-for-pytorch 2.8.0, torch 2.8.0+cpu")
    assert report.dtypes == ("float32", "bfloat16")
    assert report.memory.total > 0
    assert report.rank < 10


@pytest.mark.parametrize(
    ("extension", "build", "detail"),
    [
        ("2.8.0", None, "torch is not installed"),
        (None, TorchBuild("2.8.0"), "intel-extension-for-pytorch is not installed"),
        (
            "2.8.0",
            TorchBuild("2.13.0+cpu"),
            "intel-extension-for-pytorch 2.8.0 does not fit torch 2.13.0+cpu",
        ),
    ],
)
def test_what_is_missing_is_said(packages, extension, build, detail):
    packages(extension, build)
    report = probing.probe()
    assert (report.available, report.detail, report.fix) == (False, detail, probing.INSTALL)


def test_loading_and_probing_import_nothing_heavy():
    assert not heavy_imports("import latentry_ipex; latentry_ipex.register_devices()[0].probe()")


class Packed(torch.nn.Linear):
    """A layer as the extension makes it."""


@pytest.fixture
def extension(monkeypatch):
    """The extension, which exchanges linear layers and notes what it was asked."""
    asked = []

    def optimize(module, **given):
        asked.append(given)
        for layer in module.modules():
            if type(layer) is torch.nn.Linear:
                layer.__class__ = Packed
        return module

    fake = SimpleNamespace(optimize=optimize, asked=asked, __version__="2.8.0")
    monkeypatch.setitem(sys.modules, "intel_extension_for_pytorch", fake)
    return fake


def component(*, managed=False):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3), torch.nn.Linear(6, 3))
    return Component("unet", "torch", module, lambda: (torch.randn(1, 4, 8, 8),), lambda: "digest", managed)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_copy_is_optimized_for_its_type_and_the_component_stays_as_it_was(extension, dtype):
    part = component()
    arrays = part.example()
    placed = TorchDevice(ipex_place(IpexOptions(prepack=False))).place(part, dtype)
    kind = getattr(torch, dtype)
    folding = {"conv_bn_folding": False, "linear_bn_folding": False}
    assert extension.asked == [{"dtype": kind, "inplace": True, "weights_prepack": False, **folding}]
    assert [type(layer) for layer in placed.module] == [torch.nn.Conv2d, Packed]
    assert placed.module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert [type(layer) for layer in part.module] == [torch.nn.Conv2d, torch.nn.Linear]
    bound = 1e-5 if dtype == "float32" else 0.05
    torch.testing.assert_close(placed(*arrays), part.module(*arrays), atol=bound, rtol=bound)


def test_what_an_optimizer_manages_is_left_alone(extension):
    part = component(managed=True)
    assert TorchDevice(ipex_place(IpexOptions())).place(part, None).module is part.module
    assert extension.asked == []


def test_a_gpu_that_is_not_there_is_unavailable(extension):
    with pytest.raises(Unavailable, match=r"2\.8\.0 sees no GPU; choose the target cpu"):
        latentry_ipex.open_ipex(IpexOptions(target="xpu"))


@pytest.mark.hardware
@pytest.mark.skipif(not find_spec("intel_extension_for_pytorch"), reason="the extension is not installed")
class TestSuite(DeviceSuite):
    """The kit's own questions, in an environment with the extension: `tox run -e ipex`."""

    @pytest.fixture
    def spec(self):
        return latentry_ipex.register_devices()[0]

    @pytest.mark.parametrize("prepack", [True, False])
    def test_the_extensions_own_layers_compute(self, prepack):
        device = latentry_ipex.open_ipex(IpexOptions(prepack=prepack))
        kinds = {type(layer).__module__.partition(".")[0] for layer in device.place(component(), None).module}
        assert kinds == {"intel_extension_for_pytorch" if prepack else "torch"}

    def test_a_version_of_transformers_that_is_there_stays_there(self):
        import transformers

        load_extension()
        assert sys.modules["transformers"] is transformers
        assert load_extension().optimize
