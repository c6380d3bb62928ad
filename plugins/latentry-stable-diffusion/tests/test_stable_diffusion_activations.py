"""What a call holds at its peak and how much it computes, reckoned from headers, against torch's accounts."""

import weakref
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from latentry_sdk import JOB, InvalidModel, StageSpec, Work, read_header
from latentry_sdk.torch_blocks import largest_block
from latentry_stable_diffusion import modules
from latentry_stable_diffusion.activations import activations, work
from latentry_stable_diffusion.architectures import ARCHITECTURES
from latentry_stable_diffusion.detection import _shipped_details, as_detected
from latentry_stable_diffusion.layout import largest_blocks
from latentry_stable_diffusion.operations import call_operations, operations

BOUND = 0.05
"""How far the estimate may be from the account, either way."""

SMALL = 0.01
"""What the operations of a published model leave out: embeddings of sizes, projections of pooled prompts."""


class Account(TorchDispatchMode):
    """Counts the bytes of all tensors that are made while it lasts, and the most that were alive at once."""

    def __init__(self):
        super().__init__()
        self.alive, self.now, self.peak = {}, 0, 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        answer = operator(*args, **(kwargs or {}))
        for leaf in tree_leaves(answer):
            if isinstance(leaf, torch.Tensor):
                self.count(leaf.untyped_storage())
        return answer

    def count(self, storage):
        key = storage._cdata
        if key not in self.alive:
            self.alive[key] = storage.nbytes()
            self.now += self.alive[key]
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.forget, key)

    def forget(self, key):
        self.now -= self.alive.pop(key, 0)


def held(module, make_arguments):
    """Values of float32 that are alive at a call's peak, its arguments among them; nothing is computed."""
    mode = getattr(next(module.parameters()), "fake_mode", None) or FakeTensorMode(allow_non_fake_inputs=True)
    with mode, torch.inference_mode(), Account() as account:
        arguments = make_arguments()
        module(*arguments)
    return account.peak / 4


def resized(example, part, factor, size, rows):
    """The example's arguments for so many rows of pictures of this size."""
    width, height = size
    small = (height, width) if part == "vae_encoder" else (height // factor, width // factor)

    def fresh(array):
        if array.dim() == 4:
            return torch.zeros(rows, array.shape[1], *small)
        return torch.zeros(rows if array.dim() > 1 else 1, *array.shape[1:], dtype=array.dtype)

    return lambda: tuple(map(fresh, example))


def counted(module, make_arguments):
    """Operations with floats that torch counts in a call, attention as two products; nothing is computed."""
    mode = getattr(next(module.parameters()), "fake_mode", None) or FakeTensorMode(allow_non_fake_inputs=True)
    counter = FlopCounterMode(display=False)
    with mode, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        module(*make_arguments())
    return counter.get_total_flops()


PARTS = ("text_encoder", "text_encoder_2", "unet", "vae_encoder", "vae_decoder")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["sd1", "sd1-inpaint", "sdxl", "sdxl-refiner"])
def test_the_estimate_for_a_tiny_model_is_what_it_holds(components, tiny, name, part):
    model = components(tiny(name).folder)
    if part not in model.parts:
        assert part not in model.detected.components
        return
    for size, rows in (((256, 256), 2), ((128, 320), 1), ((96, 64), 3)):
        rows = rows if part == "unet" else 1
        arguments = resized(model.parts[part].example(), part, model.detected.multiple, size, rows)
        found = held(model.parts[part].module, arguments)
        assert activations(model.detected, Work(part, size, rows)) == pytest.approx(found, rel=BOUND)
        found = counted(model.parts[part].module, arguments)
        assert call_operations(model.detected, Work(part, size, rows)) == pytest.approx(found, rel=BOUND)


@pytest.mark.parametrize("part", ["unet", "vae_encoder", "vae_decoder", "text_encoder_2"])
def test_the_estimate_for_the_emoji_model_is_what_it_holds(components, emoji64, part):
    model = components(emoji64)
    rows = 2 if part == "unet" else 1
    arguments = resized(model.parts[part].example(), part, model.detected.multiple, (64, 64), rows)
    found = held(model.parts[part].module, arguments)
    assert activations(model.detected, Work(part, (64, 64), rows)) == pytest.approx(found, rel=BOUND)


def shipped(name):
    details = _shipped_details(ARCHITECTURES[name], 4, "epsilon")
    return as_detected(details, parts={}, model_range=None, size=(1024, 1024))


def full(name, part):
    """The component of a published model, in its real size."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    folder = ARCHITECTURES[name].configs
    if part.startswith("text"):
        kind = CLIPTextModelWithProjection if part.endswith("2") else CLIPTextModel
        model = kind(CLIPTextConfig.from_pretrained(folder / part))
        return modules.text_encoder(model, penultimate="sdxl" in name)
    if part == "unet":
        return modules.unet(UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / part)))
    vae = AutoencoderKL.from_config(AutoencoderKL.load_config(folder / "vae"))
    return getattr(modules, part)(vae)


def arguments_of(name, part, size, rows):
    width, height = size
    small = (height // 8, width // 8)
    if part.startswith("text"):
        return lambda: (torch.ones(rows, 77, dtype=torch.int64),)
    if part == "vae_encoder":
        return lambda: (torch.zeros(rows, 3, height, width),)
    if part == "vae_decoder":
        return lambda: (torch.zeros(rows, 4, *small),)
    context = {"sd1": 768, "sd2": 1024, "sdxl": 2048}[name]
    plain = [(rows, 4, *small), (1,), (rows, 77, context)]
    shapes = plain + ([(rows, 1280), (rows, 6)] if name == "sdxl" else [])
    return lambda: tuple(torch.ones(shape) for shape in shapes)


@pytest.mark.parametrize(
    ("name", "part", "size", "rows"),
    [
        ("sd1", "text_encoder", (512, 512), 1),
        ("sd1", "unet", (512, 512), 2),
        ("sd1", "unet", (768, 512), 1),
        ("sd1", "vae_encoder", (512, 512), 1),
        ("sd1", "vae_decoder", (512, 768), 1),
        ("sd2", "unet", (768, 768), 2),
        ("sdxl", "text_encoder", (1024, 1024), 1),
        ("sdxl", "text_encoder_2", (1024, 1024), 1),
        ("sdxl", "unet", (1024, 1024), 2),
        ("sdxl", "unet", (1536, 640), 8),
        ("sdxl", "vae_decoder", (1024, 1024), 1),
    ],
)
def test_the_estimate_for_a_published_model_is_what_it_holds(name, part, size, rows):
    with FakeTensorMode():
        module = full(name, part)
    found = held(module, arguments_of(name, part, size, rows))
    assert activations(shipped(name), Work(part, size, rows)) == pytest.approx(found, rel=BOUND)
    found = counted(module, arguments_of(name, part, size, rows))
    assert call_operations(shipped(name), Work(part, size, rows)) == pytest.approx(found, rel=SMALL)


def test_half_the_width_is_estimated_as_it_is():
    """The layout of Stable Diffusion 1 at half its width."""
    from diffusers import UNet2DConditionModel

    config = UNet2DConditionModel.load_config(ARCHITECTURES["sd1"].configs / "unet")
    config["block_out_channels"] = [count // 2 for count in config["block_out_channels"]]
    detected = shipped("sd1")
    detected.details["layout"]["unet"] = tuple(
        {**level, "channels": level["channels"] // 2} for level in detected.details["layout"]["unet"]
    )
    module = modules.unet(UNet2DConditionModel.from_config(config))
    found = held(module, arguments_of("sd1", "unet", (256, 256), 2))
    assert activations(detected, Work("unet", (256, 256), 2)) == pytest.approx(found, rel=BOUND)


@pytest.mark.parametrize(
    ("asked", "rows"),
    [({}, 2), ({"guidance": 1}, 1), ({"batch": 4, "at_once": 3}, 6), ({"batch": 2, "at_once": 8}, 4)],
)
def test_the_unet_gets_all_rows_of_guidance_and_the_vae_one_picture(start, tiny, asked, rows):
    plan = start(tiny("sd1").folder, size=(32, 16), **asked)[JOB].plan
    assert work(plan, "unet") == Work("unet", (32, 16), rows)
    assert work(plan, "vae_decoder") == Work("vae_decoder", (32, 16), 1)


def test_the_encoder_works_only_where_a_picture_is_encoded(start, tiny):
    plan = start(tiny("sd1").folder, size=(32, 16))[JOB].plan
    encode = StageSpec("stable-diffusion.encode_image", lambda state: state)
    assert work(plan, "vae_encoder").count == 0
    assert activations(plan.detected, work(plan, "vae_encoder")) == 0
    assert work(replace(plan, stages=(encode,)), "vae_encoder").count == 1
    assert work(replace(plan, further={"hires": plan}), "vae_encoder").count == 1
    assert work(start(tiny("sd1-inpaint").folder)[JOB].plan, "vae_encoder").count == 1


def test_a_job_reads_its_prompts_decodes_its_pictures_and_encodes_none(start, tiny):
    plan = start(tiny("sd1").folder, size=(32, 16), batch=3)[JOB].plan
    for part, rows in (("text_encoder", 2), ("vae_decoder", 3)):
        assert operations(plan, part) == rows * call_operations(plan.detected, Work(part, (32, 16), 1))
    assert operations(plan, "vae_encoder") == 0


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_the_largest_block_is_one_of_the_models_own(components, tiny, name):
    model = components(tiny(name).folder)
    for part, component in model.parts.items():
        kinds = ("BasicTransformerBlock", "ResnetBlock2D", "CLIPEncoderLayer")
        blocks = [each for each in component.module.modules() if type(each).__name__ in kinds]
        inside = {id(each) for block in blocks for each in block.modules()}
        outside = [each for each in component.module.modules() if id(each) not in inside]
        tables = "Embedding"
        blocks += [each for each in outside if not [*each.children()] and type(each).__name__ != tables]
        sizes = [sum(weight.numel() for weight in block.parameters()) for block in blocks]
        assert model.detected.largest[part] == max(sizes), part
        assert 4 * max(sizes) == largest_block(component.module), f"{part}: what offloading moves"


def test_the_blocks_of_single_files_are_known_by_their_names():
    names = {
        "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight": 3,
        "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.ff.net.2.weight": 4,
        "model.diffusion_model.input_blocks.4.1.transformer_blocks.1.ff.net.2.weight": 5,
        "model.diffusion_model.input_blocks.5.0.in_layers.2.weight": 2,
        "model.diffusion_model.input_blocks.5.0.out_layers.3.weight": 4,
    }
    assert largest_blocks({"unet": names}) == {"unet": 7}


def test_a_folder_whose_levels_do_not_match_is_an_invalid_model(tiny, tmp_path, family):
    import json
    from shutil import copytree

    folder = copytree(tiny("sd1").folder, tmp_path / "odd")
    config = json.loads((folder / "unet/config.json").read_text())
    (folder / "unet/config.json").write_text(json.dumps({**config, "down_block_types": ["DownBlock2D"]}))
    with pytest.raises(InvalidModel):
        family.detect(read_header(folder))
