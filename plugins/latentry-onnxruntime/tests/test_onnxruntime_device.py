"""ONNX Runtime as a device, with real components on the processor."""

import json
import threading
from pathlib import Path

import onnxruntime
import pytest
import torch

from latentry_onnxruntime import open_onnxruntime, probing, register_devices
from latentry_onnxruntime.options import OnnxRuntimeOptions
from latentry_onnxruntime.providers import PROVIDERS
from latentry_onnxruntime.sessions import runtime_errors
from latentry_sdk import Component, Device, PluginError, Unavailable
from latentry_sdk.engines.exporting import exporter
from latentry_sdk.testing import DeviceSuite
from latentry_sdk.testing.parts import make_part

CLOSE = 1e-4
PROCESSOR = PROVIDERS[0]


class Scaling(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Halving(torch.nn.Module):
    """Decides in Python by the number of rows, which an exported graph cannot."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[2] == 8 else x * 3


class Stuck(torch.nn.Module):
    """Asks for a value, which an exported graph does not have; torch itself can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if float(x.sum()) > 0 else x


def component(module: torch.nn.Module, *arrays: torch.Tensor, managed: bool = False) -> Component:
    kind = type(module).__name__.lower()
    return Component(kind, "torch", module.eval(), lambda: arrays, lambda: f"digest of {kind}", managed)


def scaling() -> Component:
    torch.manual_seed(0)
    return component(Scaling(), torch.ones(1, 64))


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("exported again")


def opened(cache: Path) -> Device:
    return open_onnxruntime(PROCESSOR, OnnxRuntimeOptions(cache=cache, threads=1))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnxruntime") / "cache"


@pytest.fixture
def device(cache: Path) -> Device:
    return opened(cache)


def test_one_export_of_a_unet_gives_what_torch_gives_for_every_batch_and_size(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = make_part("sd.unet")
    placed = device.place(part.component, None)
    monkeypatch.setattr(torch.onnx, "export", refuse)
    again = device.place(part.component, None)
    for batch, rows, columns in ((1, 8, 8), (2, 9, 9), (3, 12, 7), (1, 5, 16), (2, 1, 1)):
        given = part.arguments(batch, (rows, columns))
        with torch.no_grad():
            assert error(placed(*given), part.component.module(*given)) < CLOSE
        assert torch.equal(placed(*given), again(*given))


def test_a_module_that_decides_by_size_is_exported_again_for_each_size(device: Device) -> None:
    placed = device.place(component(Halving(), torch.ones(1, 1, 8, 8)), None)
    answers = [float(placed(torch.ones(1, 1, rows, 8)).mean()) for rows in (8, 9, 8, 4)]
    assert answers == [2, 3, 2, 3]


def test_a_size_that_the_graph_has_fixed_is_never_given_another(tmp_path: Path) -> None:
    class Adding(torch.nn.Module):
        def forward(self, x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            return x + times[:, None]

    module = Adding()
    placed = opened(tmp_path).place(component(module, torch.ones(2, 3), torch.ones(1)), None)
    for times in (torch.tensor([2.0]), torch.tensor([1.0, 5.0])):
        assert torch.equal(placed(torch.ones(2, 3), times), module(torch.ones(2, 3), times))
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_exported_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"stuck cannot be exported to ONNX: .*; place it elsewhere"):
        opened(tmp_path).place(component(Stuck(), torch.ones(2, 3)), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["half the weights", "half the graph", "no note", "a bit", "its name"])
def test_a_damaged_or_foreign_entry_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    device, part, given = opened(tmp_path), scaling(), torch.randn(2, 64)
    first = device.place(part, None)(given)
    (entry,) = tmp_path.iterdir()
    before = {path.name: path.read_bytes() for path in entry.iterdir()}
    spoil(entry, damage)
    torch.testing.assert_close(device.place(part, None)(given), first)
    assert ("damaged and made again" in caplog.text) is not damage.startswith("no")
    assert [found.name for found in tmp_path.iterdir()] == [entry.name]
    weights = "model.onnx.data"
    assert {path.name for path in entry.iterdir()} == before.keys() >= {"model.onnx", weights, "entry.json"}
    assert (entry / weights).read_bytes() == before[weights]


def spoil(entry: Path, damage: str) -> None:
    graph, weights, note = (entry / name for name in ("model.onnx", "model.onnx.data", "entry.json"))
    if damage.startswith("half"):
        file = weights if damage.endswith("weights") else graph
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "no note":
        note.unlink()
    elif damage == "a bit":
        whole = bytearray(weights.read_bytes())
        whole[3] ^= 1
        weights.write_bytes(whole)
    else:
        note.write_text(json.dumps({**json.loads(note.read_text()), "entry": "another"}))


def test_a_cache_that_cannot_be_written_costs_an_export_and_no_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    placed = opened(tmp_path / "file" / "cache").place(component(torch.nn.ReLU(), torch.ones(1, 3)), None)
    assert placed(torch.full((2, 3), -1.0)).sum() == 0
    assert "cannot be kept" in caplog.text


def test_results_come_in_the_callers_type_outlive_the_next_call_and_threads_may_call_at_once(
    device: Device,
) -> None:
    placed = device.place(component(torch.nn.ReLU(), torch.ones(1, 3)), None)
    assert placed(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16
    wrong: list[int] = []

    def call(number: int) -> None:
        given = torch.full((1, 3), float(number))
        kept = [placed(given) for _ in range(50)]
        wrong.extend(number for answer in kept if not torch.equal(answer, given))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_half_precision_graph_computes_near_torchs_and_leaves_the_module_alone() -> None:
    """As other providers are given it; the processor runs it too, though no device offers that."""
    torch.manual_seed(0)
    module, given = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.SiLU()).eval(), torch.randn(3, 8)
    program = exporter("block", "float16")(module, (given,), True)
    (found,) = program(given.half())
    assert found.dtype == torch.float16
    with torch.no_grad():
        assert 1e-6 < error(found.float(), module(given)) < 1e-2
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}


def test_what_it_cannot_do_is_refused(device: Device) -> None:
    relu = component(torch.nn.ReLU(), torch.ones(1, 3))
    for dtype in ("float12", "float16"):
        with pytest.raises(Unavailable, match=f"'{dtype}'; use float32"):
            device.place(relu, dtype)
    with pytest.raises(Unavailable, match="an optimizer moves the weights of relu"):
        device.place(component(torch.nn.ReLU(), torch.ones(1), managed=True), None)
    placed = device.place(relu, "float32")
    placed.close()
    with pytest.raises(PluginError, match="closed"):
        placed(torch.ones(1, 3))


def test_errors_of_the_runtime_are_told_from_others() -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

    for raised, wanted in (
        (Fail("shapes differ"), RuntimeError),
        (RuntimeException("Failed to allocate memory for requested buffer of size 9"), MemoryError),
        (KeyError("ours"), KeyError),
    ):
        with pytest.raises(wanted), runtime_errors():
            raise raised


def test_there_is_a_device_for_each_provider_and_each_is_known_to_onnx_runtime() -> None:
    specs = register_devices()
    assert [spec.name for spec in specs] == [provider.device for provider in PROVIDERS]
    known = set(onnxruntime.get_all_providers()) | {"ROCMExecutionProvider"}  # which builds had up to 1.22
    assert {provider.name for provider in PROVIDERS} <= known


def test_probes_find_what_the_installed_build_has() -> None:
    """By its files, as ONNX Runtime itself says."""
    found = {spec.name for spec in register_devices() if spec.probe().available}
    there = onnxruntime.get_available_providers()
    assert found == {provider.device for provider in PROVIDERS if provider.name in there}
    assert probing.present() == tuple(provider.device for provider in PROVIDERS if provider.device in found)


def test_a_provider_that_the_build_lacks_names_the_build_that_has_it() -> None:
    cuda = next(spec for spec in register_devices() if spec.name == "onnxruntime-cuda")
    report = cuda.probe()
    assert not report.available
    assert report.detail == f"onnxruntime {onnxruntime.__version__} has no CUDA"
    assert report.fix == "pip uninstall onnxruntime && pip install onnxruntime-gpu"
    with pytest.raises(Unavailable, match="has no CUDA, only onnxruntime"):
        cuda.open(cuda.options())


def test_another_build_is_known_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "build_and_package_info.py").write_text("package_name = 'onnxruntime-gpu'\n")
    (tmp_path / "libonnxruntime_providers_cuda.so").touch()
    monkeypatch.setattr(probing, "build_folder", lambda: tmp_path)
    reports = {spec.name: spec.probe() for spec in register_devices()}
    assert {name for name, report in reports.items() if report.available} == {
        "onnxruntime",
        "onnxruntime-cuda",
    }
    assert reports["onnxruntime-cuda"].dtypes == ("float32", "float16")
    assert reports["onnxruntime-tensorrt"].fix == "install a build of onnxruntime-gpu with TensorRT"


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_without_its_hardware_is_no_silent_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime itself goes on with the processor. The build is a fake; what the session does is real."""
    (cuda,) = (provider for provider in PROVIDERS if provider.device == "onnxruntime-cuda")
    real = onnxruntime.get_available_providers()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [cuda.name, *real])
    device = open_onnxruntime(cuda, cuda.options(cache=tmp_path))
    with pytest.raises(Unavailable, match=r"(found no|cannot run this on) CUDA"):
        device.place(component(torch.nn.ReLU(), torch.ones(1, 3)), None)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.device)
def test_options_are_given_to_the_provider_in_its_own_words(provider, tmp_path: Path) -> None:
    given = provider.options(cache=tmp_path).for_provider()
    expected = {
        "onnxruntime": {},
        "onnxruntime-openvino": {"device_type": "CPU"},
        "onnxruntime-tensorrt": {
            "device_id": 0,
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(tmp_path / "tensorrt"),
        },
    }
    assert given == expected.get(provider.device, {"device_id": 0})


@pytest.mark.parametrize("name", ["onnxruntime", "onnx", "onnxscript", "torch"])
def test_without_its_libraries_a_probe_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    there = lambda asked: None if asked == name else object()  # noqa: E731
    monkeypatch.setattr("latentry_onnxruntime.probing.find_spec", there)
    if name != "onnxruntime":
        monkeypatch.setattr(probing, "build_folder", lambda: Path())
    report = register_devices()[0].probe()
    assert not report.available
    assert report.fix == f"pip install {name}"


@pytest.mark.slow
class TestConformance(DeviceSuite):
    """The kit's own questions, asked of every component of the tiny models."""

    @pytest.fixture
    def spec(self, cache, monkeypatch):
        monkeypatch.setattr("latentry_onnxruntime.options.user_cache_path", lambda _: cache)
        return register_devices()[0]
