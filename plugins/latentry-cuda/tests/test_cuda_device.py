"""NVIDIA GPUs: what the probe says, with a stand-in for the driver, and what is asked of torch."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import latentry_cuda
from latentry_cuda import probing
from latentry_cuda.device import cuda_place, tf32
from latentry_cuda.options import CudaOptions
from latentry_sdk import Component, Memory, Unavailable, nvidia
from latentry_sdk.testing import DeviceSuite, heavy_imports
from latentry_sdk.testing.devices import BOUNDS
from latentry_sdk.testing.gpus import FakeGpu
from latentry_sdk.testing.graphs import GraphSuite
from latentry_sdk.torch_builds import TorchBuild
from latentry_sdk.torch_device import TorchDevice

GIB = 1 << 30
CUDA = TorchBuild("2.13.0+cu130", cuda="13.0")
NAMES = ("GPU-aaaa-1", "GPU-aabb-2", "GPU-cccc-3")


class Driver:
    """Three cards of three generations, as NVIDIA's library shows them."""

    class NVMLError(Exception):
        """What the library raises."""

    def __init__(self, *, there=True, newest=13000):
        self.there, self.newest, self.open = there, newest, 0

    def nvmlInit(self):  # noqa: N802
        if not self.there:
            raise self.NVMLError("NVML Shared Library Not Found")
        self.open += 1

    def nvmlShutdown(self):  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(NAMES)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetHandleByUUID(self, name):  # noqa: N802
        return name

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return NAMES[handle]

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return ("NVIDIA H100", "Tesla T4", "NVIDIA RTX A4000")[handle]

    def nvmlDeviceGetCudaComputeCapability(self, handle):  # noqa: N802
        return ((9, 0), (7, 5), (8, 6))[handle]

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        return SimpleNamespace(total=(80, 16, 16)[handle] * GIB, free=(70, 15, 1)[handle] * GIB)

    def nvmlSystemGetCudaDriverVersion_v2(self):  # noqa: N802
        return self.newest


@pytest.fixture
def machine(monkeypatch):
    """`machine(...)`: this machine with such a driver and build of torch."""

    def make(build=CUDA, visible=None, **driver):
        made = Driver(**driver)
        monkeypatch.setitem(__import__("sys").modules, "pynvml", made)
        monkeypatch.setattr(probing, "torch_build", lambda: build)
        monkeypatch.delenv(nvidia.VISIBLE, raising=False)
        if visible is not None:
            monkeypatch.setenv(nvidia.VISIBLE, visible)
        return made

    return make


def test_each_card_is_told_with_its_memory_and_types_and_the_driver_is_let_go_of(machine):
    driver = machine()
    first, second, third = (probing.probe(index) for index in range(3))
    assert first.detail == "NVIDIA H100 (compute capability 9.0), torch 2.13.0+cu130"
    assert first.memory == Memory(total=80 * GIB, free=70 * GIB)
    assert first.dtypes == ("float32", "float16", "bfloat16", "float8_e4m3fn")
    assert (second.dtypes, third.dtypes) == (("float32", "float16"), ("float32", "float16", "bfloat16"))
    assert first.rank > second.rank > third.rank > 10
    assert driver.open == 0


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, [0, 1, 2]),
        ("2,0", [2, 0]),
        ("GPU-cc,GPU-aaaa-1", [2, 0]),
        ("1,7,0", [1]),
        ("GPU-aa,0", []),  # it begins two names
        ("-1", []),
        ("", []),
        ("MIG-dddd,0", ["MIG-dddd"]),
    ],
)
def test_what_is_hidden_from_cuda_is_not_there(machine, visible, names):
    assert list(nvidia.handles(machine(), visible)) == names


def test_the_probe_counts_as_cuda_does(machine):
    machine(visible="1")
    assert "Tesla T4" in probing.probe(0).detail
    missing = probing.probe(1)
    assert (missing.available, missing.detail) == (False, "CUDA shows 1 GPUs to this process")
    assert "CUDA_VISIBLE_DEVICES" in missing.fix


WRONG = {
    "none": (None, "torch is not installed", "pip install torch -i https://download.pytorch.org/whl/cu130"),
    "for the CPU": (
        TorchBuild("2.13.0+cpu"),
        "the installed torch 2.13.0+cpu was built for the CPU",
        "pip install --force-reinstall torch -i https://download.pytorch.org/whl/cu130",
    ),
    "for ROCm": (
        TorchBuild("2.9.1+rocm6.4", hip="6.4"),
        "the installed torch 2.9.1+rocm6.4 was built for ROCm 6.4",
        "pip install --force-reinstall torch -i https://download.pytorch.org/whl/cu130",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_build_of_torch_is_named_with_the_right_one(machine, name):
    build, detail, fix = WRONG[name]
    machine(build)
    report = probing.probe(0)
    assert (report.available, report.detail, report.fix) == (False, detail, fix)


def test_an_older_driver_gets_a_build_that_it_runs(machine):
    machine(newest=12040)
    report = probing.probe(0)
    assert report.detail == "torch was built for CUDA 13.0, the driver runs CUDA 12.4 at most"
    assert report.fix.endswith("torch -i https://download.pytorch.org/whl/cu126")
    machine(TorchBuild("2.9.1+cu126", cuda="12.6"), newest=12040)
    assert probing.probe(0).available


def test_without_a_driver_that_is_said_and_the_wrong_build_too(machine):
    machine(TorchBuild("2.13.0+cpu"), there=False)
    report = probing.probe(0)
    assert report.detail == (
        "NVIDIA's driver is not there (NVML Shared Library Not Found); "
        "the installed torch 2.13.0+cpu was built for the CPU"
    )
    assert report.fix == (
        "install NVIDIA's driver, then "
        "pip install --force-reinstall torch -i https://download.pytorch.org/whl/cu130"
    )
    machine(there=False)
    assert probing.probe(0).fix == "install NVIDIA's driver"


def test_what_torch_holds_in_this_process_counts_as_free(machine, monkeypatch):
    machine()
    assert probing.free_memory(2) == Memory(total=16 * GIB, free=GIB)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda index: (0, 0, 5)[index] * GIB)
    assert probing.free_memory(2).free == 6 * GIB
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda index: 99 * GIB)
    assert probing.free_memory(2).free == 16 * GIB


def test_there_is_a_device_for_each_card_and_one_that_explains_where_there_is_none(
    machine, monkeypatch, tmp_path
):
    machine()
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(probing, "GPUS", tmp_path)
    specs = latentry_cuda.register_devices()
    assert [spec.name for spec in specs] == ["cuda", "cuda-1", "cuda-2"]
    assert [spec.aliases for spec in specs] == [("cuda:0",), ("cuda:1",), ("cuda:2",)]
    assert [spec.probe().detail[:11] for spec in specs] == ["NVIDIA H100", "Tesla T4 (c", "NVIDIA RTX "]
    machine(visible="0,2")
    assert len(latentry_cuda.register_devices()) == 2
    machine(visible="-1")
    (only,) = latentry_cuda.register_devices()
    assert not only.probe().available


def test_where_the_system_lists_no_cards_the_driver_is_asked(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(probing, "GPUS", tmp_path / "none")
    monkeypatch.setattr(probing.sys, "platform", "win32")
    machine()
    assert probing.expected() == 3
    machine(there=False)
    assert probing.expected() == 0


def test_loading_and_probing_import_nothing_heavy():
    code = "import latentry_cuda; [spec.probe() for spec in latentry_cuda.register_devices()]"
    assert not heavy_imports(code)


@pytest.fixture
def api(monkeypatch):
    """`torch.cuda` with two GPUs that are the CPU."""
    fake = FakeGpu(count=2, capability=(8, 6))
    fake.stand_in(torch.cuda, monkeypatch)
    return fake


def component():
    torch.manual_seed(0)
    module = torch.nn.Conv2d(4, 4, 3, padding=1)
    return Component("unet", "torch", module, lambda: (torch.randn(1, 4, 8, 8),), lambda: "digest")


def test_a_device_is_torchs_of_the_same_number_with_the_cards_types(api):
    place = cuda_place(1, CudaOptions())
    assert (place.name, place.home) == ("cuda-1", "cuda:1")
    assert place.dtypes == ("float32", "float16", "bfloat16")
    assert (place.shared, place.wide) == (False, "bfloat16")
    assert place.memory() == Memory(total=api.total, free=api.free)


def test_a_job_runs_with_the_options_it_was_given(api):
    seen = []

    class Looking(torch.nn.Module):
        def forward(self, x):
            seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
            seen.append(torch.backends.cuda.math_sdp_enabled())
            return x

    place = replace(cuda_place(0, CudaOptions(tf32=True, attention="flash", graphs=1)), home="cpu")
    device, part = TorchDevice(place), replace(component(), module=Looking())
    with device.activate():
        device.place(part, None)(*part.example())
    assert seen[:2] == [(True, True), False]
    assert len(api.graphs) == 1
    assert api.notes[0] == "on 0"


def test_tf32_is_off_unless_asked_for_and_torchs_settings_come_back():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (matmul.allow_tf32, cudnn.allow_tf32)
    assert before == (False, True)  # torch's own
    for allowed in (False, True):
        with tf32(allowed):
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (allowed, allowed)
        assert (matmul.allow_tf32, cudnn.allow_tf32) == before


def test_a_gpu_that_torch_does_not_see_is_unavailable(api, monkeypatch):
    with pytest.raises(Unavailable, match="torch sees 2 CUDA devices, not cuda-2"):
        cuda_place(2, CudaOptions())
    api.count = 0
    with pytest.raises(Unavailable, match="torch sees 0 CUDA devices, not cuda;"):
        latentry_cuda.open_cuda(0, CudaOptions())


@pytest.mark.hardware
class TestSuite(GraphSuite, DeviceSuite):
    """The kit's own questions; most need a card."""

    bounds = {**BOUNDS, "float8_e4m3fn": 0.25}  # noqa: RUF012

    @pytest.fixture
    def spec(self):
        return latentry_cuda.register_devices()[0]
