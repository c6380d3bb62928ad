import json
import struct
import subprocess
import sys

import pytest

from latentry_sdk import read_header
from latentry_stable_diffusion.architectures import ARCHITECTURES

COUNTS = {
    "sd1": {"unet": 859_520_964, "text_encoder": 123_060_480},
    "sd2": {"unet": 865_910_724, "text_encoder": 340_387_840},
    "sdxl": {"unet": 2_567_463_684, "text_encoder": 123_060_480, "text_encoder_2": 694_659_840},
    "sdxl-refiner": {"text_encoder_2": 694_659_840},
}
SHOWING = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"


@pytest.fixture(scope="module")
def real_models():
    """diffusers' models in their real sizes, on the meta device, from the shipped configurations."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    made = {}

    def make(name, channels=4):
        if (name, channels) not in made:
            folder = ARCHITECTURES[name].configs
            with torch.device("meta"):
                unet = UNet2DConditionModel.load_config(folder / "unet")
                models = {
                    "unet": UNet2DConditionModel.from_config(unet, in_channels=channels),
                    "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(folder / "vae")),
                }
                for part in ARCHITECTURES[name].encoders:
                    kind = CLIPTextModelWithProjection if part.endswith("2") else CLIPTextModel
                    models[part] = kind(CLIPTextConfig.from_pretrained(folder / part))
            made[name, channels] = models
        return made[name, channels]

    return make


@pytest.fixture(scope="module")
def real_shapes(real_models, original_layout):
    """`real_shapes(name)`: the tensors of a real single file."""

    def make(name, channels=4):
        tensors = original_layout(real_models(name, channels), layers=2, blocks=4, open_clip=name == "sd2")
        return {key: tuple(tensor.shape) for key, tensor in tensors.items()}

    return make


@pytest.mark.parametrize(("name", "part"), [(name, part) for name in COUNTS for part in COUNTS[name]])
def test_shipped_configurations_make_the_published_models(real_models, name, part):
    assert sum(weight.numel() for weight in real_models(name)[part].parameters()) == COUNTS[name][part]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shipped_vaes_are_the_published_one(real_models, name):
    assert sum(weight.numel() for weight in real_models(name)["vae"].parameters()) == 83_653_863


@pytest.mark.parametrize(
    ("name", "channels", "variant", "size"),
    [
        ("sd1", 4, "sd1", 512),
        ("sd1", 9, "sd1-inpaint", 512),
        ("sd2", 4, "sd2", 512),
        ("sd2", 9, "sd2-inpaint", 512),
        ("sdxl", 4, "sdxl", 1024),
        ("sdxl", 9, "sdxl-inpaint", 1024),
        ("sdxl-refiner", 4, "sdxl-refiner", 1024),
    ],
)
def test_real_single_files_are_recognised(
    family, real_shapes, sparse_file, real_models, name, channels, variant, size
):
    shapes = real_shapes(name, channels)
    detected = family.detect(read_header(sparse_file(shapes)))
    assert (detected.variant, detected.size, detected.multiple) == (variant, (size, size), 8)
    assert ("inpaint" in detected.features) == (channels == 9)
    assert set(detected.components) == {*ARCHITECTURES[name].encoders, "unet", "vae_encoder", "vae_decoder"}
    unet = sum(weight.numel() for weight in real_models(name, channels)["unet"].parameters())
    assert detected.components["unet"] == unet
    assert detected.components["vae_encoder"] + detected.components["vae_decoder"] == 83_653_863


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_single_files_hold_every_tensor_of_the_shipped_configuration(real_models, original_layout, name):
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    models = real_models(name)
    tensors = original_layout(models, layers=2, blocks=4, open_clip=name == "sd2")
    for part, convert in (("unet", convert_ldm_unet_checkpoint), ("vae", convert_ldm_vae_checkpoint)):
        converted = convert(dict(tensors), config=dict(models[part].config))
        wanted = {key: value.shape for key, value in models[part].state_dict().items()}
        assert {key: value.shape for key, value in converted.items()} == wanted


def test_a_single_file_without_a_text_encoder_is_not_ours(family, real_shapes, sparse_file):
    shapes = {key: shape for key, shape in real_shapes("sd1").items() if not key.startswith("cond_stage")}
    assert family.detect(read_header(sparse_file(shapes))) is None


def test_an_upscaler_with_our_text_encoder_is_not_ours(family, real_shapes, sparse_file):
    shapes = {**real_shapes("sd2"), "model.diffusion_model.label_emb.weight": (1000, 1280)}
    assert family.detect(read_header(sparse_file(shapes))) is None


def test_other_channel_counts_are_not_ours(family, real_shapes, sparse_file):
    assert family.detect(read_header(sparse_file(real_shapes("sd1", 8)))) is None


def test_an_unrelated_file_is_not_ours(family, sparse_file):
    assert family.detect(read_header(sparse_file({"lora_up.weight": (4, 4)}))) is None


@pytest.mark.parametrize(
    "metadata",
    [
        {"modelspec.prediction_type": "v"},
        {"modelspec.predict_key": "v"},
        {"modelspec.architecture": "stable-diffusion-v2-768-v"},
    ],
)
def test_metadata_tells_of_velocity(family, real_shapes, sparse_file, metadata):
    detected = family.detect(read_header(sparse_file(real_shapes("sd2"), metadata)))
    assert (detected.variant, detected.size) == ("sd2-v", (768, 768))


def test_metadata_comes_before_the_bias(family, real_shapes, sparse_file):
    spread = {SHOWING: struct.pack("<320e", *([0.2, -0.2] * 160))}
    path = sparse_file(real_shapes("sd2"), {"modelspec.prediction_type": "epsilon"}, spread)
    assert family.detect(read_header(path)).variant == "sd2"


@pytest.mark.parametrize(("value", "variant"), [(0.2, "sd2-v"), (0.05, "sd2")])
def test_the_bias_of_an_sd2_file_shows_its_prediction(family, real_shapes, sparse_file, value, variant):
    spread = {SHOWING: struct.pack("<320e", *([value, -value] * 160))}
    assert family.detect(read_header(sparse_file(real_shapes("sd2"), None, spread))).variant == variant


def test_marker_tensors_tell_of_velocity_and_zero_terminal_snr(family, real_shapes, sparse_file):
    shapes = {**real_shapes("sdxl"), "v_pred": (0,), "ztsnr": (0,)}
    detected = family.detect(read_header(sparse_file(shapes)))
    assert detected.variant == "sdxl-v"
    assert detected.model_range.sigma_max == pytest.approx(4096, rel=1e-3)


@pytest.mark.parametrize("name", ["sd1", "sd1-inpaint", "sd2-v", "sdxl", "sdxl-inpaint", "sdxl-refiner"])
def test_folders_are_recognised(family, tiny, name):
    detected = family.detect(read_header(tiny(name).folder))
    assert (detected.variant, detected.size, detected.multiple) == (name, (16, 16), 2)
    unet = sum(weight.numel() for weight in tiny(name).pipeline.unet.parameters())
    assert detected.components["unet"] == unet


def test_emoji64_is_recognised(family, emoji64):
    detected = family.detect(read_header(emoji64))
    assert (detected.variant, detected.size, detected.multiple) == ("sdxl-inpaint", (64, 64), 4)
    assert detected.details["tokens"] == 32


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("unet/config.json", {"time_cond_proj_dim": 256}),
        ("unet/config.json", {"class_embed_type": "projection"}),
        ("unet/config.json", {"in_channels": 8}),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}),
        ("scheduler/scheduler_config.json", {"_class_name": "EDMDPMSolverMultistepScheduler"}),
        ("model_index.json", {"text_encoder": ["transformers", "T5EncoderModel"]}),
        ("model_index.json", {"unet": ["diffusers", "UNetMotionModel"]}),
    ],
)
def test_folders_of_other_models_are_not_ours(family, tiny, tmp_path, part, change):
    from shutil import copytree

    folder = copytree(tiny("sd1").folder, tmp_path / "other")
    config = json.loads((folder / part).read_text())
    (folder / part).write_text(json.dumps(config | change))
    assert family.detect(read_header(folder)) is None


def test_detection_imports_nothing_heavy(emoji64):
    code = (
        "import sys; from pathlib import Path; from latentry_sdk import read_header;"
        "from latentry_stable_diffusion import register_models, register_stages; register_stages();"
        f"assert register_models()[0].detect(read_header(Path({str(emoji64)!r})));"
        "assert not {'torch', 'diffusers', 'transformers', 'numpy', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
