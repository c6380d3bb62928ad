"""OpenVINO as a device, with real components."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from latentry_openvino import CpuOptions, engine, open_openvino, register_devices
from latentry_openvino.runtime import load_openvino
from latentry_sdk import Component, Device, PluginError, Unavailable
from latentry_sdk.testing import DeviceSuite
from latentry_sdk.testing.parts import make_part

CLOSE = 1e-4


class Halving(torch.nn.Module):
    """Decides in Python by the number of rows, which a trace cannot."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[2] == 8 else x * 3


def component(module: torch.nn.Module, *arrays: torch.Tensor, managed: bool = False) -> Component:
    kind = type(module).__name__.lower()
    return Component(kind, "torch", module.eval(), lambda: arrays, lambda: f"digest of {kind}", managed)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("converted again")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openvino") / "cache"


@pytest.fixture
def device(cache: Path) -> Device:
    return open_openvino(CpuOptions(cache=cache, threads=1))


@pytest.fixture
def no_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_openvino(), "convert_model", refuse)


def test_one_conversion_of_a_unet_gives_what_torch_gives_for_every_batch_and_size(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = make_part("sd.unet")
    placed = device.place(part.component, None)
    monkeypatch.setattr(load_openvino(), "convert_model", refuse)
    for batch, rows, columns in ((1, 8, 8), (2, 9, 9), (3, 12, 7), (1, 5, 16), (2, 1, 1)):
        given = part.arguments(batch, (rows, columns))
        with torch.no_grad():
            assert error(placed(*given), part.component.module(*given)) < CLOSE


def test_a_second_placing_of_a_unet_converts_nothing(device: Device, no_conversion: None) -> None:
    part = make_part("sd.unet")
    placed, given = device.place(part.component, None), part.arguments(1, (8, 8))
    with torch.no_grad():
        assert error(placed(*given), part.component.module(*given)) < CLOSE


def test_a_module_that_a_trace_cannot_hold_is_traced_again_for_each_shape(device: Device) -> None:
    placed = device.place(component(Halving(), torch.ones(1, 1, 8, 8)), None)
    answers = [float(placed(torch.ones(1, 1, rows, 8)).mean()) for rows in (8, 9, 8, 4, 7)]
    assert answers == [2, 3, 2, 3, 3]


def test_a_timestep_a_picture_is_traced_beside_a_single_one(device: Device) -> None:
    part = make_part("sd.unet")
    placed = device.place(part.component, None)
    x, _, text = part.arguments(2, (8, 8))
    times = torch.tensor([3.5, 900.25])
    with torch.no_grad():
        assert error(placed(x, times, text), part.component.module(x, times, text)) < CLOSE


@pytest.mark.parametrize("damage", ["half the weights", "half the graph", "no note", "half a note"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    device = open_openvino(CpuOptions(cache=tmp_path, threads=1))
    part, given = component(torch.nn.Linear(8, 8), torch.ones(1, 8)), torch.randn(2, 8)
    first = device.place(part, None)(given)
    (entry,) = tmp_path.iterdir()
    file = entry / {"weights": "model.bin", "graph": "model.xml", "note": "entry.json"}[damage.split()[-1]]
    if damage.startswith("no"):
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    torch.testing.assert_close(device.place(part, None)(given), first)
    assert ("damaged and made again" in caplog.text) is not damage.startswith("no")
    assert [found.name for found in tmp_path.iterdir()] == [entry.name]
    assert {path.name for path in entry.iterdir()} == {"model.xml", "model.bin", "entry.json"}


def test_two_at_once_keep_one_whole_entry(tmp_path: Path) -> None:
    code = f"""if True:
        import torch
        from latentry_openvino import CpuOptions, open_openvino
        from latentry_sdk import Component
        device = open_openvino(CpuOptions(cache={str(tmp_path)!r}, threads=1))
        part = Component("relu", "torch", torch.nn.ReLU(), lambda: (torch.ones(1, 3),), lambda: "relu")
        assert device.place(part, None)(torch.full((2, 3), -1.0)).sum() == 0
    """
    both = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", code]) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    (entry,) = tmp_path.iterdir()
    assert {file.name for file in entry.iterdir()} == {"model.xml", "model.bin", "entry.json"}


def test_a_cache_that_cannot_be_written_costs_a_conversion_and_no_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    device = open_openvino(CpuOptions(cache=tmp_path / "file" / "cache", threads=1))
    placed = device.place(component(torch.nn.ReLU(), torch.ones(1, 3)), None)
    assert placed(torch.full((2, 3), -1.0)).sum() == 0
    assert "cannot be kept" in caplog.text


def test_converting_loads_no_telemetry(tmp_path: Path) -> None:
    code = f"""if True:
        import sys, torch
        from latentry_openvino import CpuOptions, open_openvino
        from latentry_sdk import Component
        device = open_openvino(CpuOptions(cache={str(tmp_path)!r}))
        device.place(Component("relu", "torch", torch.nn.ReLU(), lambda: (torch.ones(1),), lambda: "1"), None)
        assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
    """
    home = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=home)
    assert not (tmp_path / "intel").exists()


def test_results_come_in_the_callers_type_and_threads_take_turns(device: Device) -> None:
    placed = device.place(component(torch.nn.ReLU(), torch.ones(1, 3)), None)
    assert placed(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16
    wrong: list[int] = []

    def call(number: int) -> None:
        given = torch.full((1, 3), float(number))
        wrong.extend(number for _ in range(50) if not torch.equal(placed(given), given))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_result_outlives_the_next_call(device: Device) -> None:
    placed = device.place(component(torch.nn.ReLU(), torch.ones(1, 3)), None)
    kept = placed(torch.ones(1, 3))
    placed(torch.zeros(1, 3))
    assert kept.tolist() == [[1.0, 1.0, 1.0]]


def test_what_it_cannot_do_is_refused(device: Device, tmp_path: Path) -> None:
    relu = component(torch.nn.ReLU(), torch.ones(1, 3))
    with pytest.raises(Unavailable, match="'float12' on CPU; use float32"):
        device.place(relu, "float12")
    with pytest.raises(Unavailable, match="no device 'TPU'"):
        open_openvino(CpuOptions(target="TPU", cache=tmp_path))
    with pytest.raises(Unavailable, match="an optimizer moves the weights of relu"):
        device.place(component(torch.nn.ReLU(), torch.ones(1), managed=True), None)
    placed = device.place(relu, "float32")
    placed.close()
    with pytest.raises(PluginError, match="closed"):
        placed(torch.ones(1, 3))


def test_bfloat16_is_done_only_where_the_processor_has_it(device: Device) -> None:
    able = load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    part = component(torch.nn.ReLU(), torch.ones(1, 3))
    if "BF16" in able:
        assert device.place(part, "bfloat16").dtype == "bfloat16"
    else:
        with pytest.raises(Unavailable, match="'bfloat16' on CPU"):
            device.place(part, "bfloat16")


def test_static_sizes_are_compiled_one_by_one_from_one_conversion(
    device: Device, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = make_part("sd.unet")
    device.place(part.component, None)
    monkeypatch.setattr(load_openvino(), "convert_model", refuse)
    placed = open_openvino(CpuOptions(cache=cache, threads=1, shapes="static")).place(part.component, None)
    for batch, rows, columns in ((2, 8, 8), (1, 9, 7), (2, 8, 8)):
        given = part.arguments(batch, (rows, columns))
        with torch.no_grad():
            assert error(placed(*given), part.component.module(*given)) < CLOSE
    assert len(placed._engines) == 2
    compiled = placed._engines[0]._request.get_compiled_model()
    assert not any(port.partial_shape.is_dynamic for port in compiled.inputs)


def test_a_conversion_is_made_and_tested_for_static_sizes_too(tmp_path: Path) -> None:
    device = open_openvino(CpuOptions(cache=tmp_path, threads=1, shapes="static"))
    placed = device.place(component(Halving(), torch.ones(1, 1, 8, 8)), None)
    assert [float(placed(torch.ones(1, 1, rows, 8)).mean()) for rows in (8, 9, 8, 4)] == [2, 3, 2, 3]


def test_streams_threads_and_the_hint_are_what_openvino_then_has(tmp_path: Path) -> None:
    options = CpuOptions(cache=tmp_path, threads=2, streams=2, hint="throughput")
    placed = open_openvino(options).place(component(torch.nn.ReLU(), torch.ones(1, 3)), None)
    compiled = placed._engines[0]._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 2
    assert compiled.get_property("NUM_STREAMS") == 2
    assert str(compiled.get_property("PERFORMANCE_HINT")).endswith("THROUGHPUT")


def test_intels_other_hardware_is_what_openvino_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor's system has no such device; the list of another one is put in its place."""
    specs = {spec.name: spec for spec in register_devices()}
    assert engine.listed() == load_openvino().Core().available_devices
    monkeypatch.setattr(engine, "may_have", lambda _target: True)
    monkeypatch.setattr(engine, "listed", lambda: ["CPU", "GPU.0", "GPU.1"])
    assert specs["openvino-gpu"].probe().available
    report = specs["openvino-npu"].probe()
    assert (report.available, report.detail) == (False, "OpenVINO finds no NPU")
    assert "driver" in report.fix
    assert specs["openvino-npu"].options().shapes == "static"


def test_without_a_devices_file_openvino_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "listed", refuse)
    monkeypatch.setattr(engine, "FILES", {"GPU": "no/such*", "NPU": "no/such*"})
    monkeypatch.setattr(engine.sys, "platform", "linux")
    reports = [spec.probe() for spec in register_devices()]
    assert [report.available for report in reports] == [True, False, False]


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_without_its_libraries_the_probe_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(
        "latentry_openvino.engine.find_spec", lambda asked: None if asked == name else object()
    )
    report = register_devices()[0].probe()
    assert not report.available
    assert report.fix == f"pip install {name}"


class TestConformance(DeviceSuite):
    """The kit's own questions, asked of a VAE decoder."""

    @pytest.fixture
    def spec(self, cache, monkeypatch):
        monkeypatch.setattr("latentry_openvino.engine.user_cache_path", lambda _: cache)
        return register_devices()[0]

    @pytest.fixture
    def component(self):
        return make_part("sd.vae_decoder").component
