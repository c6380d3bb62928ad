"""Blocks of GGUF, against gguf's own arithmetic, and UNets out of GGUF files."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from gguf import GGMLQuantizationType, GGUFWriter, quants

from latentry_gguf import MADE, quantize, register_quantizers
from latentry_gguf.codecs import codec, readers
from latentry_gguf.commands import gguf
from latentry_gguf.importing import read_unet
from latentry_sdk import Host, InvalidModel, Request, Unavailable
from latentry_sdk.quantizing import packed_layers
from latentry_sdk.testing.parts import PARTS, make_part

SPEC = register_quantizers()[0]


def distance(found, expected):
    found, expected = (x[0] if isinstance(x, tuple) else x for x in (found, expected))
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("scheme", MADE)
@pytest.mark.parametrize("shape", [(48, 256), (40, 32), (48, 32, 3, 3)])
def test_numbers_are_those_that_gguf_reads_from_its_blocks(shape, scheme):
    weight, kind = torch.randn(shape), GGMLQuantizationType[scheme.upper()]
    kept = codec(scheme).pack(weight)
    expected = quants.dequantize(quants.quantize(weight.flatten(1).numpy(), kind), kind)
    found = codec(scheme).unpack(kept, shape, torch.float32)
    np.testing.assert_allclose(found.flatten(1).numpy(), expected, rtol=1e-6, atol=1e-7)
    taken = 8 * sum(tensor.nbytes for tensor in kept.values()) / weight.numel()
    assert taken == SPEC.bits[scheme]


@pytest.mark.parametrize("name", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"])
def test_types_that_only_files_have_are_read_as_gguf_reads_them(name):
    from gguf import GGML_QUANT_SIZES

    kind = GGMLQuantizationType[name]
    values, size = GGML_QUANT_SIZES[kind]
    blocks = np.random.default_rng(0).integers(0, 256, (6, 512 // values * size), dtype=np.uint8)
    kept = codec("stored").adopt({f"weight.{name.lower()}": torch.from_numpy(blocks)}, (6, 512))
    found = codec("stored").unpack(kept, (6, 512), torch.float32).numpy()
    with np.errstate(invalid="ignore"):  # random bytes are sometimes scales that are no numbers
        expected = quants.dequantize(blocks, kind)
    same = np.isfinite(expected)
    np.testing.assert_allclose(found[same], expected[same], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scheme", MADE)
@pytest.mark.parametrize("name", PARTS)
def test_each_component_stays_within_the_declared_error(name, scheme):
    part = make_part(name)
    given = part.arguments(1, (8, 8))
    with torch.inference_mode():
        found = quantize(part.component, scheme).module(*given)
        assert 1e-4 < distance(found, part.component.module(*given)) < SPEC.errors[scheme]


def test_what_does_not_fit_is_refused():
    kept = codec("q8_0").pack(torch.randn(48, 256))
    with pytest.raises(ValueError, match="hold no weight of the shape"):
        codec("stored").adopt(kept, (48, 300))
    with pytest.raises(ValueError, match="GGUF has no type 'q9_9'"):
        codec("stored").adopt({"weight.q9_9": kept["weight.q8_0"]}, (48, 256))
    with pytest.raises(ValueError, match="blocks of the type I8 are not read"):
        codec("stored").adopt({"weight.i8": kept["weight.q8_0"]}, (48, 256))
    assert codec("q8_0").pack(torch.randn(48, 40)) is None
    with pytest.raises(Unavailable, match="choose q8_0") as raised:
        quantize(make_part("sd.unet").component, "stored")
    assert "what a GGUF file holds" in str(raised.value)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The embedded model's folder, and its UNet as GGUF: layers in Q8_0, all else as it is."""
    from safetensors.torch import load_file

    from latentry_emoji import FOLDER

    tensors = load_file(FOLDER / "unet" / "diffusion_pytorch_model.safetensors")
    file = tmp_path_factory.mktemp("gguf") / "unet.gguf"
    written(file, tensors)
    return FOLDER, file, tensors


def written(file, tensors):
    writer = GGUFWriter(file, "sdxl")
    for name, tensor in tensors.items():
        array, kind = tensor.float().numpy(), GGMLQuantizationType.Q8_0
        if tensor.dim() == 2 and tensor.shape[1] % 32 == 0 and min(tensor.shape) >= 16:
            writer.add_tensor(name, quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_unet_is_taken_into_a_folder_that_a_host_draws_with(base, tmp_path):
    _, file, tensors = base
    with Host() as host:
        result = CliRunner().invoke(gguf, [str(file), "emoji", str(tmp_path / "small")], obj=host)
        assert result.exception is None, result.exception
        assert "tensors of Q8_0" in result.output
        asked = Request(task="txt2img", model=str(tmp_path / "small"), prompt="a red apple", steps=2, seed=1)
        plan = host.plan(asked)
        assert plan.applied()["quantizers"] == {"unet": "gguf:stored"}
        component = quantize(plan.family.load(plan.header, plan.detected)["unet"], "stored")
        kinds = {name for _, layer in packed_layers(component.module) for name in layer.names}
        assert kinds == {"weight.q8_0"}
        name, layer = next(iter(packed_layers(component.module)))
        assert distance(layer.weight, tensors[f"{name.removeprefix('model.')}.weight"].float()) < 0.01
        host.run(asked)
        again = CliRunner().invoke(gguf, [str(file), "emoji", str(tmp_path / "small")], obj=host)
        assert "is there already" in str(again.exception)


def test_another_unet_or_no_gguf_at_all_is_refused(base, tmp_path):
    from latentry_gguf.importing import write_with
    from latentry_sdk import read_header

    folder, file, tensors = base
    few = tmp_path / "few.gguf"
    written(few, {name: tensors[name] for name in list(tensors)[:-1]})
    with pytest.raises(InvalidModel, match="holds another UNet than emoji64"):
        write_with(few, read_header(folder), tmp_path / "out")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:1000])
    for wrong in (cut, folder / "model_index.json"):
        with pytest.raises(InvalidModel, match="is no GGUF file, or cut short"):
            read_unet(wrong, {})
    assert not (tmp_path / "out").exists()


def test_the_original_layouts_names_become_those_of_diffusers(tmp_path):
    file = tmp_path / "ldm.gguf"
    written(file, {"input_blocks.0.0.weight": torch.randn(32, 4, 3, 3), "out.2.bias": torch.randn(4)})
    assert read_unet(file, {"layers_per_block": 2}).keys() == {"conv_in.weight", "conv_out.bias"}


def test_every_type_that_is_read_is_known_to_gguf():
    assert all(kind.name in GGMLQuantizationType.__members__ for kind in readers())
