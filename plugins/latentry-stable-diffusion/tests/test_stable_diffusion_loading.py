from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentry_sdk import read_header
from latentry_sdk.testing.here import HERE
from latentry_sdk.torch_device import TorchDevice
from latentry_stable_diffusion.file_models import open_file
from latentry_stable_diffusion.loading import as_components

NAMES = ["sd1", "sd1-inpaint", "sd2-v", "sdxl", "sdxl-inpaint", "sdxl-refiner"]


@pytest.fixture
def single_file(tiny, original_layout, tmp_path):
    """`single_file(name)`: a tiny checkpoint as one file in the original layout."""

    def make(name):
        pipeline = tiny(name).pipeline
        parts = ("unet", "vae", "text_encoder", "text_encoder_2")
        models = {part: model for part in parts if (model := getattr(pipeline, part, None)) is not None}
        path = tmp_path / "model.safetensors"
        save_file(original_layout(models, layers=1, blocks=2), path)
        return path

    return make


def stored(model, dtype, folder):
    """A tiny model's folder whose weights are of this type."""
    copytree(model.folder, folder, dirs_exist_ok=True)
    for file in folder.rglob("*.safetensors"):
        tensors = load_file(file).items()
        cast = {key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in tensors}
        save_file(cast, file, {"format": "pt"})
    return folder


def opened(folder, family):
    """The header of a folder, and its components."""
    header = read_header(folder)
    return header, family.load(header, family.detect(header))


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_and_a_single_file_give_the_same_results(components, tiny, single_file, name):
    folder = components(tiny(name).folder)
    header = read_header(single_file(name))
    models = open_file(header, folder.detected, configs=tiny(name).folder)
    parts = as_components(models, header, folder.detected)
    assert parts.keys() == folder.parts.keys() == folder.detected.components.keys()
    for part, component in parts.items():
        example = [torch.full_like(value, 1) for value in component.example()]
        torch.testing.assert_close(component.module(*example), folder.parts[part].module(*example))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_counted_as_loaded(components, tiny, name):
    model = components(tiny(name).folder)
    for part, component in model.parts.items():
        assert sum(w.numel() for w in component.module.parameters()) == model.detected.components[part]


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_components_compute_what_diffusers_models_compute(components, tiny, name):
    pipeline, parts = tiny(name).pipeline, components(tiny(name).folder).parts
    torch.manual_seed(1)
    pixels, latents = torch.randn(1, 3, 16, 16), torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        mean = pipeline.vae.encode(pixels).latent_dist.mode()
        decoded = pipeline.vae.decode(latents).sample
    torch.testing.assert_close(parts["vae_encoder"].module(pixels), mean)
    torch.testing.assert_close(parts["vae_decoder"].module(latents), decoded)


def test_the_halves_of_the_vae_move_alone(components, tiny):
    parts = components(tiny("sd1").folder).parts
    encoder = {id(weight) for weight in parts["vae_encoder"].module.parameters()}
    assert not encoder & {id(weight) for weight in parts["vae_decoder"].module.parameters()}


def test_the_vae_can_tile_its_work(components, tiny):
    decoder = components(tiny("sd1").folder).parts["vae_decoder"].module
    decoder.model.enable_tiling()
    try:
        assert decoder(torch.zeros(1, 4, 16, 16)).shape == (1, 3, 32, 32)
    finally:
        decoder.model.disable_tiling()


def test_digests_differ_by_component_and_change_with_the_weights(family, tiny, components, tmp_path):
    parts = components(tiny("sd1").folder).parts
    digests = {name: part.digest() for name, part in parts.items()}
    assert len(set(digests.values())) == 4
    folder = copytree(tiny("sd1").folder, tmp_path / "copy")
    header = read_header(folder)
    save_file(
        {name: tensor + 1 for name, tensor in tiny("sd1").pipeline.unet.state_dict().items()},
        folder / "unet" / "diffusion_pytorch_model.safetensors",
    )
    again = {name: part.digest() for name, part in family.load(header, family.detect(header)).items()}
    assert {name for name in again if again[name] != digests[name]} == {"unet"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", ["sd1", "sdxl-inpaint"])
def test_weights_are_kept_in_the_type_of_their_files(family, tiny, tmp_path, name, dtype):
    header, parts = opened(stored(tiny(name), dtype, tmp_path), family)
    for part, component in parts.items():
        assert {weight.dtype for weight in component.module.parameters()} == {dtype}, part
    files = {file for part in ("unet", "text_encoder") for file in header.weight_files(part)}
    kept = [*parts["unet"].module.state_dict().values(), *parts["text_encoder"].module.state_dict().values()]
    assert sum(file.stat().st_size for file in files) == pytest.approx(sum(w.nbytes for w in kept), rel=0.1)


def test_what_a_running_job_loads_can_be_changed_outside_of_it(family, tiny, tmp_path):
    with torch.inference_mode():
        _, parts = opened(stored(tiny("sdxl"), torch.float16, tmp_path), family)
    assert not any(w.is_inference() for part in parts.values() for w in part.module.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["sd1", "sd2-v", "sdxl"])
def test_a_single_file_keeps_its_types_too(tiny, components, single_file, name, dtype):
    path = single_file(name)
    mixed = {
        key: tensor
        if key.startswith("first_stage_model.") or not tensor.is_floating_point()
        else tensor.to(dtype)
        for key, tensor in load_file(path).items()
    }
    save_file(mixed, path.with_name("mixed.safetensors"))
    header = read_header(path.with_name("mixed.safetensors"))
    models = open_file(header, components(tiny(name).folder).detected, configs=tiny(name).folder)
    for part, model in models.items():
        wanted = torch.float32 if part == "vae" else dtype
        assert {weight.dtype for weight in model.parameters()} == {wanted}, part


@pytest.mark.parametrize("computed", ["float32", "float64"])
def test_narrow_files_give_what_the_same_weights_in_wide_files_give(family, tiny, tmp_path, computed):
    narrow = stored(tiny("sdxl"), torch.float16, tmp_path / "narrow")
    wide = copytree(narrow, tmp_path / "wide")
    for file in wide.rglob("*.safetensors"):
        save_file({key: w.float() for key, w in load_file(file).items()}, file, {"format": "pt"})
    both = [opened(folder, family)[1] for folder in (narrow, wide)]
    device = TorchDevice(HERE)
    for part in both[0]:
        placed = [device.place(parts[part], computed) for parts in both]
        assert placed[0].module is both[0][part].module, "kept twice"
        answers = [call(*both[0][part].example()) for call in placed]
        torch.testing.assert_close(answers[0], answers[1], rtol=0, atol=0)


def test_a_folder_of_fp16_files_alone_is_opened(family, tiny, components, tmp_path):
    tiny("sd1").pipeline.save_pretrained(tmp_path / "half", variant="fp16")
    header, parts = opened(tmp_path / "half", family)
    assert all(".fp16." in file.name for file in header.weight_files("unet"))
    assert next(parts["unet"].module.parameters()).dtype == torch.float32
    assert family.detect(header).components == components(tiny("sd1").folder).detected.components


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_components_can_be_converted_to_openvino_and_take_other_batches(components, tiny):
    openvino = pytest.importorskip("openvino")
    for part in components(tiny("sdxl-inpaint").folder).parts.values():
        example = part.example()
        converted = openvino.convert_model(part.module, example_input=example)
        exact = {"INFERENCE_PRECISION_HINT": "f32"}  # a processor with bfloat16 would round otherwise
        compiled = openvino.compile_model(converted, "CPU", exact)
        larger = [value if value.ndim == 1 else torch.cat([value, value]) for value in example]
        wanted = part.module(*larger)
        found = compiled([value.numpy() for value in larger])
        for i, value in enumerate(wanted if isinstance(wanted, tuple) else (wanted,)):
            torch.testing.assert_close(torch.from_numpy(found[i]), value, rtol=1e-3, atol=1e-4)
