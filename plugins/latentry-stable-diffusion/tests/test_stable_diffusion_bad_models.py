import json
import os
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentry_sdk import CONDITIONING, DENOISE, LATENTS, InvalidModel, read_header
from latentry_stable_diffusion import denoising
from latentry_stable_diffusion.embedding import EmbeddingCache
from latentry_stable_diffusion.file_models import open_file
from latentry_stable_diffusion.pictures import decode
from latentry_stable_diffusion.prompts import encode_prompt

denoise = denoising.stage("denoise").run

WEIGHTS = {
    "unet": "unet/diffusion_pytorch_model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "text_encoder": "text_encoder/model.safetensors",
}


@pytest.fixture
def broken(tiny, tmp_path):
    """A copy of a good folder, to break."""
    return copytree(tiny("sd1").folder, tmp_path / "broken")


def opened(family, folder):
    header = read_header(folder)
    return family.load(header, family.detect(header))


def change_weights(path, change):
    tensors = load_file(path)
    name = max(tensors, key=lambda name: tensors[name].ndim)
    change(tensors, name)
    save_file(tensors, path)


def config_of(folder, part, **change):
    path = folder / part / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


@pytest.mark.parametrize("part", WEIGHTS)
def test_truncated_weights_are_refused(family, broken, part):
    path = broken / WEIGHTS[part]
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(InvalidModel, match="cut short"):
        opened(family, broken)


@pytest.mark.parametrize("part", WEIGHTS)
def test_missing_tensors_are_refused(family, broken, part):
    change_weights(broken / WEIGHTS[part], lambda tensors, name: tensors.pop(name))
    with pytest.raises(InvalidModel, match=f"its {part} is damaged") as error:
        opened(family, broken)
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is not None


@pytest.mark.parametrize("part", WEIGHTS)
def test_wrong_shapes_are_refused(family, broken, part):
    def halve(tensors, name):
        tensors[name] = tensors[name][:1].clone()

    change_weights(broken / WEIGHTS[part], halve)
    with pytest.raises(InvalidModel, match=f"its {part} is damaged"):
        opened(family, broken)


def test_weights_that_change_after_detection_are_refused(family, broken):
    header = read_header(broken)
    detected = family.detect(header)
    (broken / WEIGHTS["unet"]).write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(InvalidModel):
        family.load(header, detected)


def test_pickled_weights_are_not_opened(family, broken):
    path = broken / WEIGHTS["unet"]
    path.rename(path.with_suffix(".bin"))
    with pytest.raises(InvalidModel, match=r"no \.safetensors weights"):
        opened(family, broken)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_configuration_that_wants_code_is_refused(family, broken, part):
    config_of(broken, part, auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(InvalidModel, match="auto_map"):
        opened(family, broken)


def test_a_tokenizer_that_wants_code_is_refused(broken, start):
    path = broken / "tokenizer" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoTokenizer": "evil.T"}}))
    with pytest.raises(InvalidModel, match="auto_map"):
        encode_prompt(start(broken, prompt="a"), EmbeddingCache())


def test_a_missing_tokenizer_is_named(broken, start):
    for file in (broken / "tokenizer").iterdir():
        file.unlink()
    with pytest.raises(InvalidModel, match="its tokenizer is damaged"):
        encode_prompt(start(broken, prompt="a"), EmbeddingCache())


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("vae", {"block_out_channels": 3}),
        ("vae", {"scaling_factor": "large"}),
        ("unet", {"sample_size": [1]}),
        ("unet", {"in_channels": None}),
        ("text_encoder", {"max_position_embeddings": "many"}),
    ],
)
def test_mistyped_configurations_are_refused(family, broken, part, change):
    config_of(broken, part, **change)
    with pytest.raises(InvalidModel, match="configuration"):
        opened(family, broken)


def test_nan_weights_end_in_an_error_not_in_a_picture(family, broken, start):
    def spoil(tensors, name):
        tensors[name].fill_(float("nan"))

    change_weights(broken / WEIGHTS["unet"], spoil)
    state = denoise(encode_prompt(start(broken, prompt="a"), EmbeddingCache()))
    assert CONDITIONING in state
    latents = state[DENOISE](torch.zeros(1, 4, 8, 8), 1.0)
    with pytest.raises(InvalidModel, match="the model gave NaN"):
        decode(state.put(LATENTS, latents))


@pytest.mark.parametrize("spoilt", ["time_embed.0.weight", "quant_conv.weight", "embeddings.token_embedding"])
@pytest.mark.parametrize("wrong", ["missing", "shape"])
def test_single_files_that_do_not_fit_are_refused(
    family, tiny, original_layout, components, tmp_path, spoilt, wrong
):
    pipeline = tiny("sd1").pipeline
    models = {"unet": pipeline.unet, "vae": pipeline.vae, "text_encoder": pipeline.text_encoder}
    tensors = original_layout(models, layers=1, blocks=2)
    name = next(name for name in tensors if spoilt in name)
    tensor = tensors.pop(name)
    if wrong == "shape":
        tensors[name] = tensor[:3].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    header = read_header(tmp_path / "model.safetensors")
    with pytest.raises(InvalidModel, match="damaged"):
        open_file(header, components(tiny("sd1").folder).detected, configs=tiny("sd1").folder)
