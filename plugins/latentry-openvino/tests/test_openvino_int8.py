"""A UNet with weights and activations in 8 bits, with ranges from nobody's data."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from latentry_openvino import CpuOptions, engine, open_openvino, rounding
from latentry_openvino.engine import NpuOptions
from latentry_openvino.rounding import TIMESTEPS, drawn
from latentry_openvino.runtime import load_openvino
from latentry_sdk import Host, Request, UserError
from latentry_sdk.engines import Converted
from latentry_sdk.testing.parts import make_part

NEAR, EQUAL = 0.15, 1e-4
ROUNDING = "FakeQuantize"


def error(placed, part, batch=1, size=(8, 8)):
    """The relative distance from torch's answer."""
    given = part.arguments(batch, size)
    with torch.no_grad():
        found, wanted = placed(*given), part.component.module(*given)
    assert found.shape == wanted.shape
    return float((found - wanted).norm() / wanted.norm())


def rounds(folder):
    """Each layer of a kept graph that rounds, with the names of those that read what it gives."""
    graph = load_openvino().Core().read_model(folder / "model.xml")
    found = [node for node in graph.get_ops() if node.get_type_name() == ROUNDING]
    return [
        reader.get_node().get_friendly_name()
        for node in found
        for reader in node.output(0).get_target_inputs()
    ]


@pytest.fixture(scope="module", params=["sd.unet", "sdxl.unet"])
def part(request):
    return make_part(request.param)


@pytest.fixture(scope="module")
def cache(tmp_path_factory, part):
    folder = tmp_path_factory.mktemp("rounded")
    open_openvino(CpuOptions(cache=folder, threads=1, int8="unet")).place(part.component, None).close()
    return folder


@pytest.fixture
def nothing_is_made(monkeypatch):
    import nncf

    def refuse(*_, **__):
        raise AssertionError("made again")

    monkeypatch.setattr(load_openvino(), "convert_model", refuse)
    monkeypatch.setattr(nncf, "quantize", refuse)


@pytest.mark.parametrize("shapes", ["dynamic", "static"])
@pytest.mark.usefixtures("nothing_is_made")
def test_one_model_is_kept_and_near_torchs_for_every_batch_and_size(part, cache, shapes):
    placed = open_openvino(CpuOptions(cache=cache, threads=1, int8="unet", shapes=shapes)).place(
        part.component, None
    )
    for batch, size in ((1, (8, 8)), (2, (9, 9)), (3, (12, 7)), (1, (5, 16))):
        assert EQUAL < error(placed, part, batch, size) < NEAR


def test_its_layers_round_but_for_those_that_read_the_prompt(cache):
    (folder,) = cache.iterdir()
    names = rounds(folder)
    assert sum("conv" in name for name in names) > 10
    assert any("attn1" in name for name in names)
    assert not [name for name in names if "attn2" in name]


def test_it_is_kept_beside_the_plain_model_and_no_other_component_rounds(part, cache, tmp_path):
    plain = open_openvino(CpuOptions(cache=tmp_path, threads=1)).place(part.component, None)
    assert error(plain, part) < EQUAL
    assert {path.name for path in tmp_path.iterdir()}.isdisjoint(path.name for path in cache.iterdir())
    decoder = make_part("sd.vae_decoder")
    device = open_openvino(CpuOptions(cache=tmp_path, threads=1, int8="unet"))
    assert error(device.place(decoder.component, None), decoder) < EQUAL


def test_making_it_again_gives_the_same_numbers_and_says_nothing_on_stdout(part, cache, tmp_path, capfd):
    placed = [
        open_openvino(CpuOptions(cache=folder, threads=1, int8="unet")).place(part.component, None)
        for folder in (cache, tmp_path)
    ]
    given = part.arguments(2, (8, 8))
    assert torch.equal(placed[0](*given), placed[1](*given))
    assert capfd.readouterr().out == ""


def test_ranges_come_from_latents_that_are_as_noisy_as_the_timestep_says():
    """White noise of deviation s has neighbours that are 2 s / √π apart; smooth latents have near ones."""
    arrays = torch.zeros(2, 4, 64, 64), torch.tensor([1.0]), torch.zeros(2, 7, 32)
    calls = [drawn(arrays, timestep, seed) for seed, timestep in enumerate(TIMESTEPS)]
    rough = dict(zip(TIMESTEPS, (np.abs(np.diff(latents)).mean() for latents, *_ in calls), strict=True))
    for timestep in (400, 600, 850, 990):
        noise = math.sin(math.pi / 2 * timestep / 1000)
        assert rough[timestep] == pytest.approx(2 * noise / math.sqrt(math.pi), rel=0.05)
    assert rough[1] < 0.1
    assert all(0.6 < latents.std() < 1.4 for latents, *_ in calls)
    assert [float(time[0]) for _, time, _ in calls] == [*TIMESTEPS]
    assert [array.dtype for array in calls[0]] == [np.float32] * 3


@pytest.mark.parametrize(("general", "size"), [(True, (64, 64)), (False, (80, 96))])
def test_ranges_of_large_pictures_come_from_smaller_ones_where_any_size_will_do(monkeypatch, general, size):
    asked = []
    monkeypatch.setattr(rounding, "_quantized", lambda model, arrays: asked.append(arrays) or model)
    arrays = torch.zeros(2, 4, 80, 96), torch.tensor([1.0]), torch.zeros(2, 7, 32)
    found = rounding.rounded(Converted("model", False, general, (), ()), arrays)
    assert (found.model, found.general) == ("model", general)
    assert [array.shape for array in asked[0]] == [(2, 4, *size), (1,), (2, 7, 32)]


def test_it_is_refused_while_planning_without_nncf(monkeypatch):
    found = engine.find_spec
    monkeypatch.setattr(engine, "find_spec", lambda name: None if name == "nncf" else found(name))
    with Host() as host, pytest.raises(UserError, match=r"latentry-openvino\[int8\]"):
        host.plan(
            Request(
                task="txt2img", prompt="a cat", place={"unet": "openvino"},
                options={"openvino": {"int8": "unet"}},
            )
        )  # fmt: skip
    assert CpuOptions().int8 == "none"


def test_what_has_no_such_layers_is_not_offered():
    for asked in ({"int8": "vae_decoder"}, {"int8": True}):
        with pytest.raises(ValidationError):
            CpuOptions(**asked)
    assert "int8" not in NpuOptions.model_fields


def test_nncf_reports_to_nobody(tmp_path: Path):
    code = f"""if True:
        import sys
        from latentry_openvino import CpuOptions, open_openvino
        from latentry_sdk.testing.parts import make_part
        device = open_openvino(CpuOptions(cache={str(tmp_path)!r}, int8="unet"))
        device.place(make_part("sd.unet").component, None)
        assert "nncf.telemetry" in sys.modules
        assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
    """
    home = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=home)
    assert not (tmp_path / "intel").exists()
