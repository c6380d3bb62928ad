"""AMD GPUs: what the probe reads from Linux, with a stand-in for its folders, and what is asked of torch."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import latentry_rocm
from latentry_rocm import cards, probing
from latentry_rocm.device import rocm_place
from latentry_rocm.options import RocmOptions
from latentry_sdk import Component, Memory, Unavailable
from latentry_sdk.testing import DeviceSuite, heavy_imports
from latentry_sdk.testing.devices import BOUNDS
from latentry_sdk.testing.gpus import FakeGpu
from latentry_sdk.testing.graphs import GraphSuite
from latentry_sdk.torch_builds import TorchBuild
from latentry_sdk.torch_device import TorchDevice

GIB = 1 << 30
ROCM = TorchBuild("2.9.1+rocm6.4", hip="6.4.43482")
NODES = (
    {"cpu_cores_count": 16, "simd_count": 0, "gfx_target_version": 0},
    {"simd_count": 192, "gfx_target_version": 110000, "drm_render_minor": 128, "unique_id": 0xAB1},
    {"simd_count": 72, "gfx_target_version": 100300, "drm_render_minor": 129, "unique_id": 0xCD2},
    {"simd_count": 1216, "gfx_target_version": 90402, "drm_render_minor": 130, "unique_id": 0xEF3},
)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine with three cards and no variables, and torch for ROCm."""
    for number, properties in enumerate(NODES):
        folder = tmp_path / cards.NODES / str(number)
        folder.mkdir(parents=True)
        (folder / "properties").write_text("".join(f"{key} {value}\n" for key, value in properties.items()))
    for minor, total, used in ((128, 24, 4), (129, 8, 1)):
        folder = tmp_path / f"drm/renderD{minor}/device"
        folder.mkdir(parents=True)
        (folder / "mem_info_vram_total").write_text(f"{total * GIB}\n")
        (folder / "mem_info_vram_used").write_text(f"{used * GIB}\n")
    monkeypatch.setattr(cards, "SYSTEM", tmp_path)
    monkeypatch.setattr(probing, "torch_build", lambda: ROCM)
    for variable in cards.VISIBLE:
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_each_card_is_told_with_its_memory_and_types(system):
    first, second, third = (probing.probe(index) for index in range(3))
    assert first.detail == "AMD gfx1100, torch 2.9.1+rocm6.4"
    assert first.memory == Memory(24 * GIB, 20 * GIB)
    assert first.dtypes == ("float32", "float16", "bfloat16")
    assert second.dtypes == ("float32", "float16")
    assert third.dtypes == ("float32", "float16", "bfloat16", "float8_e4m3fn")
    assert third.memory == Memory()  # its driver does not tell
    assert first.rank > second.rank > 10
    missing = probing.probe(3)
    assert (missing.available, missing.detail) == (False, "ROCm shows 3 GPUs")


@pytest.mark.parametrize(
    ("version", "name"),
    [(90402, "gfx942"), (90010, "gfx90a"), (110000, "gfx1100"), (100300, "gfx1030"), (120001, "gfx1201")],
)
def test_architectures_have_the_names_that_compilers_use(version, name):
    assert cards.architecture(version) == name


@pytest.mark.parametrize(
    ("rocr", "hip", "left"),
    [
        (None, "1", ["gfx1030"]),
        ("2,0", None, ["gfx942", "gfx1100"]),
        ("2,0", "1", ["gfx1100"]),
        ("GPU-0000000000000cd2", None, ["gfx1030"]),
        (None, "", []),
    ],
)
def test_what_is_hidden_is_not_there(system, monkeypatch, rocr, hip, left):
    for variable, value in zip(cards.VISIBLE, (rocr, hip), strict=True):
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert [card.architecture for card in cards.visible_cards()] == left


def test_there_is_a_device_for_each_card(system, monkeypatch):
    specs = latentry_rocm.register_devices()
    assert [(spec.name, spec.aliases) for spec in specs] == [
        ("rocm", ("rocm:0",)),
        ("rocm-1", ("rocm:1",)),
        ("rocm-2", ("rocm:2",)),
    ]
    assert specs[1].memory() == Memory(8 * GIB, 7 * GIB)


def test_a_wrong_build_of_torch_is_named_with_the_right_one(system, monkeypatch):
    monkeypatch.setattr(probing, "torch_build", lambda: TorchBuild("2.13.0+cu130", cuda="13.0"))
    report = probing.probe(0)
    assert report.detail == "the installed torch 2.13.0+cu130 was built for CUDA 13.0"
    assert report.fix == "pip install --force-reinstall torch -i https://download.pytorch.org/whl/rocm6.4"


def test_without_a_card_that_is_said_and_one_device_explains_it(system, monkeypatch):
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "-1")
    (spec,) = latentry_rocm.register_devices()
    report = spec.probe()
    assert (report.available, report.detail) == (False, "Linux shows no AMD GPU that computes")
    assert "KFD" in report.fix
    assert spec.memory() == Memory()
    monkeypatch.setattr(probing, "torch_build", lambda: TorchBuild("2.13.0+cpu"))
    assert spec.probe().detail.endswith("computes; the installed torch 2.13.0+cpu was built for the CPU")


def test_on_windows_torch_alone_can_tell(system, monkeypatch):
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr(probing.sys, "platform", "win32")
    report = probing.probe(0)
    assert (report.available, report.memory) == (True, Memory())
    assert "shows when it is opened" in report.detail
    assert not probing.probe(1).available


def test_loading_and_probing_import_nothing_heavy():
    code = "import latentry_rocm; [spec.probe() for spec in latentry_rocm.register_devices()]"
    assert not heavy_imports(code)


@pytest.fixture
def api(monkeypatch):
    """`torch.cuda` of a build for ROCm, with one GPU that is the CPU."""
    fake = FakeGpu()
    fake.stand_in(torch.cuda, monkeypatch)
    monkeypatch.setattr(torch.version, "hip", "6.4.43482")
    properties = SimpleNamespace(gcnArchName="gfx90a:sramecc+:xnack-")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    return fake


def test_a_device_is_torchs_of_the_same_number_with_the_cards_types(api):
    place = rocm_place(0, RocmOptions())
    assert (place.name, place.home) == ("rocm", "cuda:0")
    assert place.dtypes == ("float32", "float16", "bfloat16")


def test_a_job_runs_with_the_options_it_was_given(api):
    torch.manual_seed(0)
    module = torch.nn.Conv2d(4, 4, 3, padding=1)
    part = Component("unet", "torch", module, lambda: (torch.randn(1, 4, 8, 8),), lambda: "digest")
    device = TorchDevice(replace(rocm_place(0, RocmOptions(graphs=1, attention="math")), home="cpu"))
    arrays = part.example()
    with device.activate():
        torch.testing.assert_close(device.place(part, None)(*arrays), module(*arrays))
        assert not torch.backends.cuda.flash_sdp_enabled()
    assert [graph.replays for graph in api.graphs] == [1]


def test_a_gpu_or_a_build_that_torch_lacks_is_unavailable(api, monkeypatch):
    with pytest.raises(Unavailable, match="torch sees 1 ROCm devices, not rocm-1"):
        latentry_rocm.open_rocm(1, RocmOptions())
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(Unavailable, match=r"not built for ROCm; pip install .*/rocm6\.4"):
        latentry_rocm.open_rocm(0, RocmOptions())


@pytest.mark.hardware
class TestSuite(GraphSuite, DeviceSuite):
    """The kit's own questions; most need a card: `pytest -m hardware plugins/latentry-rocm -rs`."""

    bounds = {**BOUNDS, "float8_e4m3fn": 0.25}  # noqa: RUF012

    @pytest.fixture
    def spec(self):
        return latentry_rocm.register_devices()[0]
