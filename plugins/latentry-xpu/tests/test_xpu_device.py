"""Intel GPUs: what the probe reads from Linux, with a stand-in for its folders, and what torch is asked."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import latentry_xpu
from latentry_sdk import Component, Memory, Unavailable
from latentry_sdk.testing import DeviceSuite, heavy_imports
from latentry_sdk.testing.gpus import FakeGpu
from latentry_sdk.torch_builds import TorchBuild
from latentry_sdk.torch_device import TorchDevice
from latentry_xpu import XpuOptions, probing
from latentry_xpu.device import xpu_place

XPU = TorchBuild("2.13.0+xpu", xpu="20260000")


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine with a GPU of Intel's, one of another maker, and a second of Intel's; torch for XPU."""
    for minor, vendor in ((128, "0x8086"), (129, "0x10de"), (130, "0x8086")):
        folder = tmp_path / f"renderD{minor}/device"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
    monkeypatch.setattr(probing, "SYSTEM", tmp_path)
    monkeypatch.setattr(probing, "torch_build", lambda: XPU)
    monkeypatch.delenv(probing.MASK, raising=False)
    return tmp_path


def test_each_gpu_of_intels_is_a_device(system):
    specs = latentry_xpu.register_devices()
    assert [(spec.name, spec.aliases) for spec in specs] == [("xpu", ("xpu:0",)), ("xpu-1", ("xpu:1",))]
    first, second = (spec.probe() for spec in specs)
    assert (first.available, first.detail) == (True, "Intel GPU 0, torch 2.13.0+xpu")
    assert first.dtypes == ("float32", "float16", "bfloat16")
    assert first.rank > second.rank > 10
    assert specs[0].memory() == Memory()


def test_what_is_hidden_is_not_there(system, monkeypatch):
    monkeypatch.setenv(probing.MASK, "1")
    assert len(latentry_xpu.register_devices()) == 1
    assert not probing.probe(1).available


def test_a_wrong_build_of_torch_is_named_with_the_right_one(system, monkeypatch):
    monkeypatch.setattr(probing, "torch_build", lambda: TorchBuild("2.13.0+cpu"))
    report = probing.probe(0)
    assert report.detail == "the installed torch 2.13.0+cpu was built for the CPU"
    assert report.fix == "pip install --force-reinstall torch -i https://download.pytorch.org/whl/xpu"


def test_without_a_gpu_one_device_says_so_but_on_windows_torch_alone_can_tell(system, monkeypatch):
    monkeypatch.setattr(probing, "SYSTEM", system / "none")
    (spec,) = latentry_xpu.register_devices()
    assert spec.probe().detail == "Linux shows 0 GPUs of Intel's"
    monkeypatch.setattr(probing.sys, "platform", "win32")
    assert spec.probe().available


def test_loading_and_probing_import_nothing_heavy():
    code = "import latentry_xpu; [spec.probe() for spec in latentry_xpu.register_devices()]"
    assert not heavy_imports(code)


@pytest.fixture
def api(monkeypatch):
    """`torch.xpu` with one GPU that is the CPU."""
    fake = FakeGpu()
    fake.stand_in(torch.xpu, monkeypatch)
    return fake


def test_a_job_runs_on_torchs_device_of_the_same_number(api):
    torch.manual_seed(0)
    module = torch.nn.Conv2d(4, 4, 3, padding=1)
    part = Component("unet", "torch", module, lambda: (torch.randn(1, 4, 8, 8),), lambda: "digest")
    place = xpu_place(0, XpuOptions())
    assert (place.name, place.home, place.dtypes[0]) == ("xpu", "xpu:0", "float32")
    device, arrays = TorchDevice(replace(place, home="cpu")), part.example()
    with device.activate():
        torch.testing.assert_close(device.place(part, None)(*arrays), module(*arrays))
        assert api.current_stream().name == "stream 0"
    assert api.graphs == []


def test_memory_is_told_as_far_as_the_driver_tells_it(api, monkeypatch):
    assert xpu_place(0, XpuOptions()).memory() == Memory(api.total, api.free)

    def refuse(index):
        raise RuntimeError("The device doesn't support querying the available free memory.")

    monkeypatch.setattr(torch.xpu, "mem_get_info", refuse)
    properties = SimpleNamespace(total_memory=16 << 30)
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda index: properties)
    assert xpu_place(0, XpuOptions()).memory() == Memory(total=16 << 30)


def test_a_gpu_that_torch_does_not_see_is_unavailable(api):
    with pytest.raises(Unavailable, match="torch sees 1 XPU devices, not xpu-1"):
        latentry_xpu.open_xpu(1, XpuOptions())


@pytest.mark.hardware
class TestSuite(DeviceSuite):
    """The kit's own questions; most need a GPU: `pytest -m hardware plugins/latentry-xpu -rs`."""

    @pytest.fixture
    def spec(self):
        return latentry_xpu.register_devices()[0]
