"""Tiny checkpoints of every variant, made by diffusers itself, and jobs on them."""

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from latentry.job import Job
from latentry.plan import Plan
from latentry_sdk import (
    JOB,
    PLACED,
    SEEDS,
    SIGMAS,
    SIZE,
    Options,
    Request,
    SamplerSpec,
    SchedulerSpec,
    State,
    TaskSpec,
    read_header,
)
from latentry_stable_diffusion import register_models
from latentry_stable_diffusion.denoising import DenoiseOptions
from latentry_stable_diffusion.tokenizers import clip_tokenizer

EMOJI = Path(__file__).parents[2] / "latentry-emoji" / "src" / "latentry_emoji" / "model" / "emoji64"
TEXT = {"vocab_size": 49408, "max_position_embeddings": 77, "bos_token_id": 49406, "eos_token_id": 49407}
DDIM = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}
TINY = {
    "sd1": {},
    "sd1-inpaint": {"channels": 9},
    "sd2-v": {"linear": True, "prediction": "v_prediction", "pad": ("!",)},
    "sdxl": {"text_time": 6, "encoders": (32, 48), "pad": ("<|endoftext|>", "!")},
    "sdxl-inpaint": {"text_time": 6, "encoders": (32, 48), "channels": 9, "pad": ("<|endoftext|>", "!")},
    "sdxl-refiner": {"text_time": 5, "encoders": (None, 48), "pad": (None, "!")},
}


def placed_here(component):
    """A component on the CPU, as the torch device places it."""
    import torch

    from latentry_sdk.torch_placed import TorchModule

    return TorchModule(component.module, device="cpu", home="cpu", dtype=torch.float32)


def tiny_unet(*, encoders=(32,), channels=4, linear=False, text_time=0):
    from diffusers import UNet2DConditionModel

    added = {}
    if text_time:
        added = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": text_time * 8 + encoders[-1],
        }
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=channels,
        block_out_channels=(32, 64),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=8,
        cross_attention_dim=sum(filter(None, encoders)),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        use_linear_projection=linear or bool(text_time),
        **added,
    )


def tiny_vae():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=8,
        layers_per_block=1,
        scaling_factor=0.3,
    )


def tiny_text(width, *, projection):
    """10 layers: diffusers finds a second encoder in a single file by its tenth."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_attention_heads=4,
        num_hidden_layers=10 if projection else 3,
        projection_dim=width,
        **TEXT,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def tiny_pipeline(*, encoders=(32,), pad=("<|endoftext|>",), prediction="epsilon", text_time=0, **unet):
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLImg2ImgPipeline
    from diffusers import StableDiffusionXLPipeline as Xl

    torch.manual_seed(0)
    parts = {
        "vae": tiny_vae(),
        "unet": tiny_unet(encoders=encoders, text_time=text_time, **unet),
        "scheduler": DDIMScheduler(prediction_type=prediction, **DDIM),
    }
    for i, (width, padding) in enumerate(zip(encoders, pad, strict=True)):
        end = "_2" if i else ""
        parts[f"text_encoder{end}"] = width and tiny_text(width, projection=bool(i))
        parts[f"tokenizer{end}"] = padding and clip_tokenizer(padding)
    if not text_time:
        return StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    if text_time == 6:
        return Xl(**parts, add_watermarker=False)
    return StableDiffusionXLImg2ImgPipeline(
        **parts, add_watermarker=False, requires_aesthetics_score=True, force_zeros_for_empty_prompt=False
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """`tiny(name)`: a pipeline of diffusers, and the folder it is saved in."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("tiny") / name
            pipeline = tiny_pipeline(**TINY[name])
            pipeline.save_pretrained(folder)
            made[name] = SimpleNamespace(pipeline=pipeline, folder=folder)
        return made[name]

    return make


@pytest.fixture(scope="session")
def family():
    """The model family."""
    return register_models()[0]


@pytest.fixture(scope="session")
def components(family):
    """`components(folder)`: the header, what was detected, and the components in float32, loaded once."""
    loaded = {}

    def load(folder):
        if folder not in loaded:
            header = read_header(folder)
            detected = family.detect(header)
            parts = family.load(header, detected)
            for part in parts.values():
                part.module.float()
            loaded[folder] = SimpleNamespace(header=header, detected=detected, parts=parts)
        return loaded[folder]

    return load


@pytest.fixture
def start(components, family):
    """`start(folder, prompt=…)`: the state a job begins with; `size` and `seeds` are the state's own.

    `at_once` is the denoiser's option. What jobs change is undone after the test.
    """
    undos = ExitStack()

    def make(folder, *, size=None, seeds=(1,), at_once=1, **asked):
        model = components(folder)
        plan = Plan(
            request=Request(task="txt2img", **asked),
            task=TaskSpec("txt2img", stages=()),
            stages=(),
            family=family,
            header=model.header,
            detected=model.detected,
            placements={},
            sampler=SamplerSpec("euler", sample=lambda *_: None),
            scheduler=SchedulerSpec("normal", sigmas=lambda *_: ()),
            sigmas=(10.0, 5.0, 0.0),
            seeds=seeds,
            size=size or model.detected.size,
            format="png",
            options={
                ("StageSpec", "stable-diffusion.denoise"): DenoiseOptions(at_once=at_once),
                ("SchedulerSpec", "normal"): Options(),
            },
            quantizers={},
            optimizers=(),
            memory={},
        )
        placed = {name: placed_here(part) for name, part in model.parts.items()}
        job = Job("test", plan, notify=lambda event: None)
        undos.callback(job.undos.close)
        state = State().put(JOB, job).put(SIZE, plan.size).put(SEEDS, seeds).put(SIGMAS, plan.sigmas)
        return state.put(PLACED, placed)

    with undos:
        yield make


@pytest.fixture
def with_details():
    """`with_details(state, name=value)`: the state whose model has other details."""

    def change(state, **details):
        job = state[JOB]
        detected = replace(job.plan.detected, details={**job.plan.detected.details, **details})
        return state.put(JOB, replace(job, plan=replace(job.plan, detected=detected)))

    return change


@pytest.fixture(scope="session")
def emoji64():
    """The folder of the small trained model."""
    if not EMOJI.is_dir():
        pytest.skip("emoji64 is not on this machine")
    return EMOJI


def ldm_unet(name, layers):
    """The original name of a UNet tensor, for `layers` resnets a block."""
    parts = name.split(".")
    fixed = {
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
    }
    stem = ".".join(parts[:-1])
    if stem in fixed:
        return f"{fixed[stem]}.{parts[-1]}"
    if parts[0] == "mid_block":
        place, rest = 2 * int(parts[2]) if parts[1] == "resnets" else 1, parts[3:]
        return f"middle_block.{place}.{ldm_resnet(rest, parts[1])}"
    block, kind, i, rest = int(parts[1]), parts[2], int(parts[3]), parts[4:]
    if parts[0] == "down_blocks":
        at = f"input_blocks.{1 + block * (layers + 1) + (layers if kind == 'downsamplers' else i)}"
        return f"{at}.{1 if kind == 'attentions' else 0}.{ldm_resnet(rest, kind)}"
    last = layers if kind == "upsamplers" else i
    place = {"resnets": 0, "attentions": 1, "upsamplers": "UP"}[kind]
    return f"output_blocks.{block * (layers + 1) + last}.{place}.{ldm_resnet(rest, kind)}"


def ldm_resnet(rest, kind):
    name = ".".join(rest)
    if kind == "downsamplers":
        return name.replace("conv", "op")
    names = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "time_emb_proj": "emb_layers.1",
        "conv_shortcut": "skip_connection",
    }
    return name if kind != "resnets" else f"{names[rest[0]]}.{rest[1]}"


def ldm_vae(name, blocks):
    """The original name of a VAE tensor, for `blocks` levels."""
    parts = name.split(".")
    if parts[1] == "up_blocks":
        parts[2] = str(blocks - 1 - int(parts[2]))
    name = ".".join(parts)
    for new, old in {
        "down_blocks": "down",
        "up_blocks": "up",
        "mid_block.resnets.0": "mid.block_1",
        "mid_block.resnets.1": "mid.block_2",
        "mid_block.attentions.0": "mid.attn_1",
        "resnets": "block",
        "downsamplers.0": "downsample",
        "upsamplers.0": "upsample",
        "conv_shortcut": "nin_shortcut",
        "conv_norm_out": "norm_out",
        "group_norm": "norm",
        "to_q": "q",
        "to_k": "k",
        "to_v": "v",
        "to_out.0": "proj_out",
    }.items():
        name = name.replace(new, old)
    return name


def ldm_open_clip(tensors, prefix):
    """OpenCLIP's names: queries, keys and values in one tensor, the projection transposed."""
    import torch

    out = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("text_model.")
        fixed = {
            "embeddings.token_embedding.weight": "token_embedding.weight",
            "embeddings.position_embedding.weight": "positional_embedding",
            "final_layer_norm.weight": "ln_final.weight",
            "final_layer_norm.bias": "ln_final.bias",
            "text_projection.weight": "text_projection",
        }
        if name in fixed:
            tensor = tensor.T.contiguous() if name.startswith("text_projection") else tensor
            out[prefix + fixed[name]] = tensor
            continue
        for new, old in {
            "encoder.layers": "transformer.resblocks",
            "layer_norm": "ln_",
            "mlp.fc1": "mlp.c_fc",
            "mlp.fc2": "mlp.c_proj",
            "self_attn": "attn",
        }.items():
            name = name.replace(new, old)
        if ".q_proj." not in name and ".k_proj." not in name and ".v_proj." not in name:
            out[prefix + name] = tensor
        elif ".q_proj." in name:
            rows = [tensors[_like(tensors, name, part)] for part in "qkv"]
            out[prefix + name.replace(".q_proj.", ".in_proj_")] = torch.cat(rows)
    return out


def _like(tensors, name, part):
    layer, end = name.split("resblocks.")[1].split(".")[0], name.rsplit(".", 1)[1]
    return next(key for key in tensors if key.endswith(f"layers.{layer}.self_attn.{part}_proj.{end}"))


def ldm_unet_names(names, layers):
    """Original names of all UNet tensors; an upsampler comes after the attention, if its level has one."""
    named = {name: ldm_unet(name, layers) for name in names}
    taken = {".".join(old.split(".")[:3]) for old in named.values()}
    for name, old in named.items():
        if ".UP." in old:
            stem = old.split(".UP.")[0]
            named[name] = old.replace(".UP.", f".{2 if f'{stem}.1' in taken else 1}.")
    return named


def to_ldm(models, *, layers, blocks, open_clip=False):
    """The tensors of a single file in the original layout."""
    unet, vae = models["unet"].state_dict(), models["vae"].state_dict()
    names = ldm_unet_names(unet, layers)
    out = {f"model.diffusion_model.{names[name]}": tensor for name, tensor in unet.items()}
    for name, tensor in vae.items():
        attention = ".attentions." in name and "group_norm" not in name and name.endswith("weight")
        tensor = tensor[:, :, None, None] if attention else tensor
        out[f"first_stage_model.{ldm_vae(name, blocks)}"] = tensor
    first, second = models.get("text_encoder"), models.get("text_encoder_2")
    stem = "conditioner.embedders.0." if second is not None else "cond_stage_model."
    if first is not None and open_clip:
        out |= ldm_open_clip(first.state_dict(), f"{stem}model.")
    elif first is not None:
        out |= {
            f"{stem}transformer.text_model.{name.removeprefix('text_model.')}": tensor
            for name, tensor in first.state_dict().items()
        }
    if second is not None:
        at = "conditioner.embedders.1.model." if first is not None else "conditioner.embedders.0.model."
        out |= ldm_open_clip(second.state_dict(), at)
    return {name: tensor.contiguous() for name, tensor in out.items()}


@pytest.fixture(scope="session")
def original_layout():
    """`original_layout(models, layers=…, blocks=…, open_clip=…)`: the tensors of a single file."""
    return to_ldm


@pytest.fixture
def sparse_file(tmp_path):
    """`sparse_file(shapes)`: a safetensors file of zeros with these tensors, that takes no room on disk."""

    def make(shapes, metadata=None, values=None):
        from math import prod

        header, end = {"__metadata__": metadata} if metadata else {}, 0
        for name, shape in shapes.items():
            start, end = end, end + 2 * prod(shape)
            header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
        raw = json.dumps(header).encode()
        path = tmp_path / "model.safetensors"
        with path.open("wb") as file:
            file.write(len(raw).to_bytes(8, "little") + raw)
            file.truncate(8 + len(raw) + end)
            for name, data in (values or {}).items():
                file.seek(8 + len(raw) + header[name]["data_offsets"][0])
                file.write(data)
        return path

    return make
