"""Folders whose parts are stored quantized: recognised by their headers, loaded as they are, and written."""

import gc
import json
import weakref
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from latentry_sdk import Component, Host, InvalidModel, InvalidRequest, QuantizerSpec, hookimpl, read_header
from latentry_sdk.quantizing import Codec, packed_layers, quantized
from latentry_stable_diffusion import register_models
from latentry_stable_diffusion.commands import quantize
from latentry_stable_diffusion.saving import save

FAMILY = register_models()[0]
ALL = ("text_encoder", "text_encoder_2", "unet", "vae_encoder", "vae_decoder")


def pack(weight):
    scale = weight.abs().amax(tuple(range(1, weight.dim())), keepdim=True) / 127
    return {"weight": (weight / scale).round().to(torch.int8), "weight.scale": scale}


def unpack(kept, shape, dtype):
    return (kept["weight"].to(dtype) * kept["weight.scale"].to(dtype)).reshape(shape)


def by_rows(component: Component, scheme: str) -> Component:
    return quantized(component, Codec(pack, unpack), f"rows:{scheme}")


ROWS = QuantizerSpec("rows", ("int8",), frozenset({"*"}), by_rows)


class Rows:
    """A plugin with a quantizer."""

    @hookimpl
    def register_quantizers(self):
        return [ROWS]


def plan_of(start, folder, parts):
    from latentry_sdk import JOB

    plan = start(folder)[JOB].plan
    return replace(plan, quantizers=dict.fromkeys(parts, (ROWS, "int8")))


def detected(folder):
    header = read_header(folder)
    return header, FAMILY.detect(header)


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_what_is_stored_quantized_computes_the_same_after_loading(tiny, start, tmp_path, name):
    folder = tmp_path / "small"
    plan = plan_of(start, tiny(name).folder, ALL if name == "sdxl" else [ALL[0], *ALL[2:]])
    save(plan, folder)
    header, found = detected(folder)
    assert found.quantized == dict.fromkeys(plan.quantizers, "rows:int8")
    plain = FAMILY.load(plan.header, plan.detected)
    again = FAMILY.load(header, found)
    for part, component in again.items():
        filled, first = by_rows(component, "int8"), by_rows(plain[part], "int8")
        assert list(packed_layers(filled.module))
        given = component.example()
        with torch.inference_mode():
            for mine, theirs in zip(parts_of(filled, given), parts_of(first, given), strict=True):
                assert torch.equal(mine, theirs)


def parts_of(component, given):
    answer = component.module(*given)
    return answer if isinstance(answer, tuple) else (answer,)


def test_it_takes_a_third_of_the_room_and_counts_the_same_weights(tiny, start, tmp_path):
    folder = tmp_path / "small"
    plan = plan_of(start, tiny("sdxl").folder, ["unet"])
    sizes = save(plan, folder)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    before = sum(each.stat().st_size for each in (tiny("sdxl").folder / "unet").glob("*.safetensors"))
    assert sizes == {"unet": file.stat().st_size}
    assert file.stat().st_size < before / 2.5
    assert detected(folder)[1].components["unet"] == pytest.approx(plan.detected.components["unet"], rel=0.05)
    assert detected(folder)[1].components["vae_decoder"] == plan.detected.components["vae_decoder"]


def test_one_half_of_the_vae_can_stay_plain(tiny, start, tmp_path):
    folder = tmp_path / "small"
    save(plan_of(start, tiny("sd1").folder, ["vae_decoder"]), folder)
    header, found = detected(folder)
    parts = FAMILY.load(header, found)
    assert not list(packed_layers(by_rows(parts["vae_encoder"], "int8").module))
    assert list(packed_layers(by_rows(parts["vae_decoder"], "int8").module))
    plan = plan_of(start, tiny("sd1").folder, ["vae_decoder", "vae_encoder"])
    plan.quantizers["vae_encoder"] = (ROWS, "int4")
    with pytest.raises(InvalidRequest, match="by two schemes"):
        save(plan, tmp_path / "other")


def test_a_folder_that_is_there_is_not_written_over(tiny, start, tmp_path):
    with pytest.raises(InvalidRequest, match="is there already"):
        save(plan_of(start, tiny("sd1").folder, ["unet"]), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "label"),
    [
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes:int8"),
        ({"quant_method": "bitsandbytes", "bnb_4bit_quant_type": "nf4"}, "bitsandbytes:nf4"),
        ({"quant_method": "quanto", "weights_dtype": "int8"}, "quanto:int8"),
        ({"quant_method": "sdnq", "weights_dtype": "uint4"}, "sdnq:uint4"),
    ],
)
def test_what_diffusers_says_of_its_own_is_understood(copied, config, label):
    edit(copied / "unet" / "config.json", quantization_config=config)
    assert detected(copied)[1].quantized == {"unet": label}


@pytest.mark.parametrize(
    ("tensor", "label"),
    [
        ("conv_out.weight.quant_state.bitsandbytes__nf4", "bitsandbytes:nf4"),
        ("conv_out.SCB", "bitsandbytes:int8"),
        ("conv_out.weight._data._data", "quanto:int4"),
    ],
)
def test_tensors_that_one_scheme_alone_stores_tell_it(copied, tensor, label):
    file = copied / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({**load_file(file), tensor: torch.zeros(3, dtype=torch.uint8)}, file)
    assert detected(copied)[1].quantized == {"unet": label}


def test_an_unknown_way_is_refused_by_name(copied):
    edit(copied / "unet" / "config.json", quantization_config={"quant_method": "secret"})
    with pytest.raises(InvalidModel, match="its unet is quantized in an unknown way, 'secret'"):
        detected(copied)


def test_a_stored_part_without_some_tensor_is_refused(tiny, start, tmp_path):
    folder = tmp_path / "small"
    save(plan_of(start, tiny("sd1").folder, ["unet"]), folder)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    del tensors["conv_in.bias"]
    save_file(tensors, file)
    header, found = detected(folder)
    with pytest.raises(InvalidModel, match="lacks 1 tensors"):
        by_rows(FAMILY.load(header, found)["unet"], "int8")


def test_the_plain_weights_are_let_go(tiny, start):
    from latentry_sdk import JOB

    plan = start(tiny("sd1").folder)[JOB].plan
    component = FAMILY.load(plan.header, plan.detected)["unet"]
    weight = weakref.ref(next(component.module.parameters()))
    component = by_rows(component, "int8")
    gc.collect()
    assert weight() is None
    component.example()


def test_the_command_refuses_what_is_no_pair(tiny, tmp_path):
    with Host() as host:
        arguments = [str(tiny("sd1").folder), str(tmp_path / "small"), "--quantize", "unet"]
        result = CliRunner().invoke(quantize, arguments, obj=host)
    assert "is not PART=QUANTIZER:SCHEME" in str(result.exception)


@pytest.fixture
def copied(tiny, tmp_path):
    """A copy of a tiny folder, to be changed."""
    import shutil

    return shutil.copytree(tiny("sd1").folder, tmp_path / "copy")


def edit(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
