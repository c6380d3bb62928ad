"""Folders are recognised by their headers; unsafe, damaged and foreign ones are not opened."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import latentry_openvino
from latentry import Host
from latentry_diffusers import register_models
from latentry_diffusers.loading import load
from latentry_sdk import InvalidModel, Unavailable, UserError, read_header
from latentry_sdk.torch_copies import cast_copy

EMOJI = Path(__file__).parents[2] / "latentry-emoji" / "src" / "latentry_emoji" / "model" / "emoji64"
CLASSES = {"sana": "SanaPipeline", "wan": "WanPipeline"}
READ = {
    "transformer": ("patch_size", "all_patch_size", "in_channels", "sample_size", "num_layers"),
    "vae": (
        "scale_factor_spatial",
        "temperal_downsample",
        "encoder_block_out_channels",
        "latent_channels",
        "z_dim",
    ),
}
"""What planning reads in the configurations."""

PLAN = """
import sys
from latentry import Host, Request
plan = Host().plan(Request(task="txt2img", model={model!r}, prompt="x"))
assert plan.family.name == "diffusers", plan.family.name
print([name for name in ("torch", "diffusers", "transformers", "numpy", "PIL") if name in sys.modules])
"""


def change(path, **values):
    """Set values in a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def copied(renamed):
    """A copy of the Flux folder."""
    return renamed("flux", "FluxPipeline")


@pytest.mark.parametrize(
    ("name", "size", "multiple"),
    [
        ("flux", (512, 512), 8),  # 128 latents a side where the configuration says nothing
        ("sd3", (64, 64), 8),
        ("pixart", (64, 64), 8),
        ("sana", (64, 64), 8),
        ("qwen", (512, 512), 8),
        ("wan", (832, 480), 16),  # the class's own defaults
    ],
)
def test_sizes_are_read_from_the_configuration(name, size, multiple, host, ask):
    detected = host.plan(ask(name)).detected
    assert (detected.size, detected.multiple) == (size, multiple)


@pytest.mark.parametrize("name", ["flux", "sd3", "pixart", "sana", "qwen", "wan"])
def test_memory_is_the_parameters_of_all_models(name, host, ask, tiny):
    from torch.nn import Module

    models = [part for part in tiny(name).pipeline.components.values() if isinstance(part, Module)]
    weights = {id(weight): weight for model in models for weight in model.state_dict().values()}
    held = sum(weight.numel() for weight in weights.values())
    planned = sum(host.plan(ask(name)).detected.components.values())
    assert 0.8 * held <= planned <= 1.2 * held  # tied weights may be in the file once or twice


def test_stable_diffusion_stays_with_its_own_family(host, ask, renamed):
    assert host.plan(ask(EMOJI)).family.name == "stable-diffusion"
    for kind in ("StableDiffusionPipeline", "StableDiffusionXLInpaintPipeline"):
        header = read_header(renamed("sd3", kind))
        assert [family.detect(header) for family in register_models()] == [None, None]
        for file in sorted(header.path.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        header.path.rmdir()


@pytest.mark.parametrize("kind", ["NoPipeline", "StableAudioPipeline", "WanImageToVideoPipeline", "os", 7])
def test_a_class_that_draws_no_pictures_from_prompts_is_of_no_family(kind, host, ask, renamed):
    with pytest.raises(UserError, match="is of no installed model family"):
        host.plan(ask(renamed("flux", kind)))


@pytest.mark.parametrize(
    ("file", "values", "line"),
    [
        ("model_index.json", {"_class_name": ["pipeline.py", "MyPipeline"]}, "wants to run code"),
        ("model_index.json", {"auto_map": {"x": "y"}}, "wants to run code"),
        ("model_index.json", {"vae": ["builtins", "exec"]}, "'vae' is of 'builtins', not of diffusers"),
        ("model_index.json", {"vae": ["my_code", "MyVae"]}, "'vae' is of 'my_code', not of diffusers"),
        ("model_index.json", {"vae": ["diffusers", "os.system"]}, "'vae' is no component"),
        ("model_index.json", {"../vae": ["diffusers", "AutoencoderKL"]}, "'../vae' is no component"),
        ("model_index.json", {"extra": ["diffusers", "AutoencoderKL"]}, "extra has no configuration"),
        ("transformer/config.json", {"auto_map": {"x": "y"}}, "wants to run code"),
        ("text_encoder_2/config.json", {"auto_map": {"x": "y"}}, "wants to run code"),
        ("tokenizer/tokenizer_config.json", {"auto_map": {"x": "y"}}, "wants to run code"),
        ("transformer/config.json", {"num_layers": 10_000_000}, "more layers than it has tensors"),
        ("transformer/config.json", {"patch_size": "two"}, "lacks or mistypes"),
        ("transformer/config.json", {"sample_size": {}, "patch_size": [[]]}, "lacks or mistypes"),
        ("vae/config.json", {"block_out_channels": 7}, "lacks or mistypes"),
        ("transformer/config.json", {"sample_size": -8}, "lacks or mistypes the size of its pictures"),
        ("transformer/config.json", {"sample_size": 1e308}, "lacks or mistypes the size of its pictures"),
        ("transformer/config.json", {"patch_size": 0.5, "sample_size": [8, float("inf")]}, "mistypes"),
    ],
)
def test_an_unsafe_or_mistyped_folder_is_refused_while_planning(file, values, line, host, ask, copied):
    change(copied / file, **values)
    with pytest.raises(InvalidModel) as raised:
        host.plan(ask(copied))
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [None, True, -1, 10**30, 1e308, "x", [], [[]], [None, "x"], {"a": 1}])
@pytest.mark.parametrize("name", ["sana", "wan"])
def test_any_value_in_a_configuration_is_read_or_refused(name, value, host, ask, renamed):
    folder = renamed(name, CLASSES[name])
    for part, keys in READ.items():
        path = folder / part / "config.json"
        before = path.read_text()
        for key in keys:
            path.write_text(json.dumps({**json.loads(before), key: value}))
            with contextlib.suppress(UserError):
                size = host.plan(ask(folder)).detected.size
                assert all(8 <= length <= 16384 for length in size)
        path.write_text(before)


def test_pickled_weights_are_not_opened(host, ask, copied):
    (weights,) = (copied / "vae").glob("*.safetensors")
    weights.rename(copied / "vae" / "diffusion_pytorch_model.bin")
    with pytest.raises(InvalidModel, match=r"vae has no \.safetensors weights"):
        host.plan(ask(copied))


def test_a_cut_file_is_refused_while_planning(host, ask, copied):
    (weights,) = (copied / "transformer").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InvalidModel, match="cut short"):
        host.plan(ask(copied))


def test_weights_that_are_missing_are_not_made_up(host, ask, copied):
    from safetensors.torch import load_file, save_file

    (path,) = (copied / "text_encoder").glob("*.safetensors")
    weights = load_file(path)
    weights.pop(next(name for name in weights if name.endswith("fc1.weight")))
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(InvalidModel, match="1 tensors of text_encoder are missing") as raised:
        host.run(ask(copied))
    assert "\n" not in str(raised.value)


def test_weights_of_another_shape_are_refused(host, ask, copied):
    change(copied / "transformer" / "config.json", num_attention_heads=1)
    with pytest.raises(InvalidModel, match="damaged or does not fit its configuration"):
        host.run(ask(copied))


def test_weights_that_are_no_numbers_give_no_picture(host, ask, copied):
    from safetensors.torch import load_file, save_file

    (path,) = (copied / "transformer").glob("*.safetensors")
    weights = {name: tensor * float("nan") for name, tensor in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(InvalidModel, match="NaN or infinite pixels"):
        host.run(ask(copied))


def test_code_in_the_folder_is_not_run(host, ask, copied):
    for part in (".", "vae", "transformer", "tokenizer"):
        (copied / part / "pipeline.py").write_text("raise SystemExit('code of the folder ran')")
        (copied / part / "vae.py").write_text("raise SystemExit('code of the folder ran')")
    assert host.run(ask(copied, steps=1)).artifacts


def test_nothing_is_fetched(ask, copied, plugins, monkeypatch):
    def refuse(*_arguments):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with Host(plugins=plugins) as fresh:
        assert fresh.run(ask(copied, steps=1)).artifacts


def test_planning_imports_nothing_heavy(tiny, tmp_path):
    program = PLAN.format(model=str(tiny("flux").folder))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_a_device_that_converts_is_refused(ask, plugins):
    with Host(plugins=[*plugins, latentry_openvino]) as more:
        with pytest.raises(Unavailable, match="a whole pipeline cannot be converted"):
            more.run(ask("flux", place={"pipeline": "openvino"}))
        assert more.plan(ask("flux")).placements["pipeline"].device == "cpu"


def test_a_narrower_copy_leaves_the_models_as_they_are(tiny):
    import torch

    header = read_header(tiny("flux").folder)
    module = load(header, register_models()[0].detect(header))["pipeline"].module
    copy = cast_copy(module, torch.bfloat16)
    assert {weight.dtype for weight in copy.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}
    assert copy.pipeline.transformer is copy.models["transformer"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["flux", "sd3", "pixart", "sana", "qwen", "wan"])
def test_weights_are_read_as_they_are_stored_and_widened_without_loss(name, dtype, tiny, tmp_path):
    """A model that keeps some layers wide is read wide. In float32 all equal diffusers' own reading of it."""
    import torch
    from torch.nn import Module

    kind, narrow = type(tiny(name).pipeline), getattr(torch, dtype)
    kept = kind.from_pretrained(tiny(name).folder, dtype=narrow)
    kept.save_pretrained(tmp_path)
    header = read_header(tmp_path)
    found = next(filter(None, (family.detect(header) for family in register_models())))
    models = load(header, found)["pipeline"].module.models
    for part, model in models.items():
        stored = {weight.dtype for weight in kept.components[part].parameters()}
        assert {weight.dtype for weight in model.parameters()} == (
            stored if len(stored) == 1 else {torch.float32}
        )
    assert any(weight.dtype is narrow for weight in models.parameters())
    wide = kind.from_pretrained(tmp_path, dtype=torch.float32)
    for part, model in models.float().items():
        for values in (Module.named_parameters, Module.named_buffers):
            own, other = dict(values(model)), dict(values(wide.components[part]))
            assert own.keys() == other.keys()
            assert [key for key in own if not own[key].equal(other[key])] == []


def test_the_digest_changes_with_any_file(tiny, copied):
    def digest(folder):
        header = read_header(folder)
        return load(header, register_models()[0].detect(header))["pipeline"].digest()

    assert digest(copied) == digest(copied)
    before = digest(copied)
    change(copied / "transformer" / "config.json", note="changed")
    assert digest(copied) != before
