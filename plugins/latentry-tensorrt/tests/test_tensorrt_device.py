"""TensorRT as a device, with a stand-in for its library that computes on the processor."""

import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import latentry_tensorrt
from latentry_sdk import Component, DeviceReport, DeviceSpec, Memory, OutOfMemory, Unavailable
from latentry_sdk.engines import shapes
from latentry_sdk.engines.exporting import exporter
from latentry_sdk.testing import DeviceSuite, heavy_imports
from latentry_sdk.testing.devices import distance
from latentry_sdk.torch_builds import TorchBuild
from latentry_tensorrt import TensorRtOptions, probing
from latentry_tensorrt.building import Builder, limits
from latentry_tensorrt.device import TensorRtDevice
from latentry_tensorrt.engines import Gpu

HERE = Gpu("stand-in", "cpu", Memory, nullcontext, lambda: 7)
GIB = 1 << 30


def stand_in():
    """The module beside this one, which a rootless test run cannot import by name."""
    found = spec_from_file_location("fake_tensorrt", Path(__file__).with_name("fake_tensorrt.py"))
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


FAKE = stand_in()


class Block(torch.nn.Module):
    """A convolution, and the timestep it was asked about."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv = torch.nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x, timestep):
        return self.conv(x) * timestep[:, None, None, None], timestep * 2


class Determinant(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.det(x)


def arguments(batch=2, rows=8, columns=8):
    return torch.randn(batch, 4, rows, columns), torch.arange(1.0, batch + 1)


def component(module=None, *, managed=False):
    module = (module or Block()).eval()
    digest = repr(sorted((name, float(weight.sum())) for name, weight in module.state_dict().items()))
    return Component("unet", "torch", module, arguments, lambda: digest, managed)


@pytest.fixture(scope="module")
def exported():
    """torch's exports, each made once: they take seconds."""
    made = {}

    def exporter_of(name, dtype):
        def export(module, arrays, general):
            weights = [float(weight.sum()) for weight in module.state_dict().values()]
            key = (repr(module), str(weights), shapes(arrays), dtype, general)
            if key not in made:
                made[key] = exporter(name, dtype)(module, arrays, general)
            return made[key]

        return export

    return exporter_of


@pytest.fixture
def library(monkeypatch, exported):
    made = FAKE.Library()
    monkeypatch.setattr("latentry_tensorrt.device.exporter", exported)
    monkeypatch.setitem(sys.modules, "tensorrt", made)
    return made


@pytest.fixture
def make(library, tmp_path):
    """`make(...)`: the device with these options and one cache."""

    def opened(gpu=HERE, **options):
        wanted = TensorRtOptions(cache=tmp_path / "cache", **options)
        return TensorRtDevice(wanted, Builder(wanted), gpu)

    return opened


def check(placed, part, *given):
    with torch.no_grad():
        assert distance(placed(*given), part.module(*given)) < 1e-4


def test_one_engine_gives_torchs_numbers_for_every_size_in_its_range(make, library):
    part = component()
    placed = make().place(part, None)
    assert (placed.home, placed.dtype) == ("cpu", "float32")
    for batch, rows, columns in ((2, 8, 8), (1, 5, 9), (4, 16, 7)):
        check(placed, part, *arguments(batch, rows, columns))
    assert len(library.configs) == 1


def test_a_size_beyond_its_range_gets_an_engine_of_its_own(make, library):
    part = component()
    placed = make(range=1).place(part, None)
    check(placed, part, *arguments(2, 40, 40))
    check(placed, part, *arguments(2, 8, 8))
    assert len(library.configs) == 2


def test_an_engine_is_built_once_for_the_same_content_and_machine(make, library):
    part = component()
    make().place(part, None)
    check(make().place(part, None), part, *arguments())
    assert len(library.configs) == 1
    make().place(component(Block(seed=1)), None)  # other weights
    make(tf32=True).place(part, None)
    make(gpu=replace(HERE, name="another")).place(part, None)
    assert len(library.configs) == 4


def test_an_engine_that_cannot_be_loaded_is_an_error_not_another_answer(make, library):
    part = component()
    make().place(part, None)
    library.machine = "another"
    with pytest.raises(RuntimeError, match="cannot load this engine"):
        make().place(part, None)


def test_weights_are_put_into_an_engine_of_the_same_layout(make, library):
    first, second = component(), component(Block(seed=1))
    make(refit=True).place(first, None)
    check(make(refit=True).place(second, None), second, *arguments())
    assert (len(library.configs), library.refits) == (1, 1)
    check(make(refit=True).place(first, None), first, *arguments())


def test_weights_that_do_not_give_torchs_numbers_are_built_anew(make, library, monkeypatch):
    second = component(Block(seed=1))
    make(refit=True).place(component(), None)
    monkeypatch.setattr(Builder, "refitted", lambda self, plan, file: plan)  # a refit that does nothing
    check(make(refit=True).place(second, None), second, *arguments())
    assert len(library.configs) == 2


def test_options_reach_the_builder(make, library):
    make(effort=1, workspace=64, refit=True, tf32=True).place(component(), None)
    make().place(component(), None)
    asked, plain = library.configs
    assert asked.builder_optimization_level == 1
    assert asked.pools == {FAKE.MemoryPoolType.WORKSPACE: 64 << 20}
    assert asked.flags == {FAKE.BuilderFlag.REFIT, FAKE.BuilderFlag.TF32}
    assert (plain.builder_optimization_level, plain.pools, plain.flags) == (3, {}, set())


def test_float16_computes_in_it_and_gives_the_callers_type(make):
    part = component()
    placed = make().place(part, "float16")
    assert placed.dtype == "float16"
    x, timestep = arguments()
    answer, doubled = placed(x, timestep)
    assert answer.dtype == torch.float32
    assert torch.equal(doubled, timestep * 2)
    with torch.no_grad():
        assert 0 < distance(answer, part.module(x, timestep)[0]) < 0.01


@pytest.mark.parametrize(
    ("declared", "shape", "lowest", "largest"),
    [
        ((-1, 4, -1, -1), (3, 4, 9, 64), (1, 4, 3, 31), (6, 4, 18, 128)),
        ((2, 4, 8, 8), (2, 4, 8, 8), (2, 4, 8, 8), (2, 4, 8, 8)),
        ((-1,), (2,), (1,), (4,)),
        ((), (), (), ()),
    ],
)
def test_an_input_has_the_range_that_its_open_sizes_ask_for(declared, shape, lowest, largest):
    assert limits(declared, shape, 2) == (lowest, largest)


def test_what_it_cannot_do_is_refused(make):
    device = make()
    with pytest.raises(Unavailable, match="'float12'; use float32, float16, bfloat16"):
        device.place(component(), "float12")
    with pytest.raises(Unavailable, match="an optimizer moves the weights of unet"):
        device.place(component(managed=True), None)
    part = replace(component(Determinant()), example=lambda: (torch.randn(2, 3, 3),))
    with pytest.raises(Unavailable, match="TensorRT cannot read the model: no such operator"):
        device.place(part, None)


def test_a_lack_of_memory_is_told_as_such(make, library):
    library.room = False
    with pytest.raises(OutOfMemory, match="tensorrt has not enough memory"):
        make().place(component(), None)


class Driver:
    class NVMLError(Exception):
        """What the library raises."""

    def __init__(self, *, there=True):
        self.there = there

    def __getattr__(self, name):
        answers = {
            "nvmlDeviceGetCount": 1,
            "nvmlDeviceGetName": "NVIDIA H100",
            "nvmlDeviceGetCudaComputeCapability": (9, 0),
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80 * GIB, free=70 * GIB),
            "nvmlSystemGetCudaDriverVersion_v2": 13000,
        }

        def call(*_given):
            if not self.there:
                raise self.NVMLError("not found")
            return answers.get(name, "GPU-1")

        return call


@pytest.mark.parametrize(
    ("given", "detail", "fix"),
    [
        ({}, "TensorRT of unknown version on NVIDIA H100", None),
        ({"driver": False}, "NVIDIA's driver is not there (not found)", "install NVIDIA's driver"),
        (
            {"build": TorchBuild("2.13.0+cpu")},
            "the installed torch 2.13.0+cpu was built for the CPU",
            "pip install --force-reinstall torch -i https://download.pytorch.org/whl/cu130",
        ),
        ({"missing": "tensorrt"}, "TensorRT is not installed", "pip install latentry-tensorrt[cu13]"),
        ({"missing": "onnxscript"}, "onnxscript is not installed", "pip install onnxscript"),
    ],
)
def test_the_probe_says_what_is_there_or_missing(monkeypatch, given, detail, fix):
    monkeypatch.setitem(sys.modules, "pynvml", Driver(there=given.get("driver", True)))
    build = given.get("build", TorchBuild("2.13.0+cu130", cuda="13.0"))
    monkeypatch.setattr(probing, "torch_build", lambda: build)
    monkeypatch.setattr(probing, "find_spec", lambda name: None if name == given.get("missing") else name)
    report = probing.probe()
    assert (report.available, report.detail, report.fix) == (fix is None, detail, fix)
    assert report.rank < 10


def test_loading_and_probing_import_nothing_heavy():
    assert not heavy_imports("import latentry_tensorrt; latentry_tensorrt.register_devices()[0].probe()")


def test_a_gpu_that_torch_does_not_see_is_unavailable(library):
    with pytest.raises(Unavailable, match="torch sees 0 GPUs, not number 3"):
        latentry_tensorrt.open_tensorrt(TensorRtOptions(gpu=3))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("tensorrt")


@pytest.mark.slow
class TestWithAStandIn(DeviceSuite):
    """The kit's own questions about one part; the stand-in takes long for others."""

    parts = ("sd.vae_decoder",)

    @pytest.fixture
    def spec(self, library, kept):
        def opened(options):
            wanted = options.model_copy(update={"cache": kept})
            return TensorRtDevice(wanted, Builder(wanted), HERE)

        probe = partial(DeviceReport, True, "a stand-in", None, ("float32",))
        return DeviceSpec("tensorrt", probe, opened, options=TensorRtOptions)


@pytest.mark.hardware
class TestSuite(DeviceSuite):
    """The kit's own questions, minutes long on a card: `pytest -m hardware plugins/latentry-tensorrt -rs`."""

    @pytest.fixture
    def spec(self):
        return latentry_tensorrt.register_devices()[0]
