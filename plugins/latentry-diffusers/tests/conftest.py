"""Tiny pipelines of diffusers with random weights, saved to folders, and a host that runs them."""

import json
import string
from shutil import copytree
from types import SimpleNamespace

import pytest

import latentry_cpu
import latentry_diffusers
import latentry_images
import latentry_img2img
import latentry_inpaint
import latentry_prompt
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Host
from latentry_sdk import Request

PLUGINS = (
    latentry_cpu,
    latentry_diffusers,
    latentry_images,
    latentry_img2img,
    latentry_inpaint,
    latentry_prompt,
    latentry_samplers,
    latentry_schedules,
    latentry_stable_diffusion,
    latentry_txt2img,
)
LETTERS = string.ascii_lowercase
WIDTH = 32


def vae(latents, *, levels=3):
    """A latent of it covers 4 × 4 pixels, with four levels 8 × 8."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=latents,
        shift_factor=0.06,
        scaling_factor=1.5,
    )


def clip(*, projection):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=2 * len(LETTERS) + 2,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=2 * len(LETTERS),
        eos_token_id=2 * len(LETTERS) + 1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)


def clip_tokenizer():
    from transformers import CLIPTokenizer

    tokens = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], pad_token="<|endoftext|>", model_max_length=77)


def t5(kind="T5"):
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        vocab_size=64, d_model=WIDTH, d_kv=8, d_ff=WIDTH, num_layers=1, num_heads=4
    )
    return getattr(transformers, f"{kind}EncoderModel")(config)


def t5_tokenizer():
    from transformers import T5Tokenizer

    letters = [(letter, -2.0) for letter in LETTERS]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), *letters]
    return T5Tokenizer(vocab=pieces, extra_ids=0)


def flow():
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler()


def flux():
    from diffusers import FluxPipeline, FluxTransformer2DModel

    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )
    return FluxPipeline(
        scheduler=flow(),
        vae=vae(4),
        text_encoder=clip(projection=False),
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
        transformer=transformer,
    )


def sd3():
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=WIDTH,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=2 * WIDTH,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=flow(),
        vae=vae(16),
        text_encoder=clip(projection=True),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip(projection=True),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5(),
        tokenizer_3=t5_tokenizer(),
    )


def pixart():
    from diffusers import DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

    transformer = PixArtTransformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        cross_attention_dim=WIDTH,
        caption_channels=WIDTH,
    )
    return PixArtSigmaPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5(),
        vae=vae(4),
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(),
    )


def gemma():
    from transformers import Gemma2Config, Gemma2Model

    config = Gemma2Config(
        vocab_size=64,
        hidden_size=8,
        intermediate_size=16,
        head_dim=8,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_hidden_layers=1,
    )
    return Gemma2Model(config)


def gemma_tokenizer():
    from transformers import GemmaTokenizer

    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *LETTERS]
    return GemmaTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])


def sana():
    from diffusers import AutoencoderDC, SanaPipeline, SanaTransformer2DModel

    blocks = ("ResBlock", "ResBlock", "EfficientViTBlock")
    shared = {"latent_channels": 4, "attention_head_dim": 2}
    for side in ("encoder", "decoder"):
        shared |= {
            f"{side}_block_types": blocks,
            f"{side}_block_out_channels": (8, 8, 8),
            f"{side}_qkv_multiscales": ((), (), (5,)),
            f"{side}_layers_per_block": (1, 1, 1),
        }
    transformer = SanaTransformer2DModel(
        sample_size=16,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
    )
    return SanaPipeline(
        tokenizer=gemma_tokenizer(),
        text_encoder=gemma(),
        vae=AutoencoderDC(in_channels=3, scaling_factor=0.4, **shared),
        transformer=transformer,
        scheduler=flow(),
    )


def qwen_tokenizer():
    from transformers import Qwen2Tokenizer

    tokens = [*string.printable[:94], "Ġ", "Ċ", "<|endoftext|>"]
    return Qwen2Tokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])


def qwen():
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 128,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6},
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
        },
    )
    return QwenImagePipeline(
        scheduler=flow(),
        vae=AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True],
            latents_mean=[0.1] * 4,
            latents_std=[0.9] * 4,
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=qwen_tokenizer(),
        transformer=transformer,
    )


def wan():
    from diffusers import AutoencoderKLWan, WanPipeline, WanTransformer3DModel

    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=WIDTH,
        freq_dim=16,
        ffn_dim=WIDTH,
        num_layers=1,
        rope_max_seq_len=32,
    )
    return WanPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5("UMT5"),
        vae=AutoencoderKLWan(
            base_dim=4,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
        ),
        scheduler=flow(),
        transformer=transformer,
    )


def aura():
    from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel

    transformer = AuraFlowTransformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=WIDTH,
        caption_projection_dim=WIDTH,
        pos_embed_max_size=64,
    )
    return AuraFlowPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5("UMT5"),
        vae=vae(4),
        transformer=transformer,
        scheduler=flow(),
    )


def chroma():
    from diffusers import ChromaPipeline, ChromaTransformer2DModel

    transformer = ChromaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        approximator_num_channels=8,
        approximator_hidden_dim=WIDTH,
        approximator_layers=1,
    )
    return ChromaPipeline(
        scheduler=flow(), vae=vae(4), text_encoder=t5(), tokenizer=t5_tokenizer(), transformer=transformer
    )


def lumina():
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel

    transformer = Lumina2Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        hidden_size=24,
        num_layers=1,
        num_refiner_layers=1,
        num_attention_heads=3,
        num_kv_heads=1,
        multiple_of=16,
        axes_dim_rope=(4, 2, 2),
        cap_feat_dim=8,
    )
    return Lumina2Pipeline(
        transformer=transformer,
        scheduler=flow(),
        vae=vae(4, levels=4),  # the class takes every VAE for one of 8 × 8
        text_encoder=gemma(),
        tokenizer=gemma_tokenizer(),
    )


def zimage():
    from diffusers import ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=WIDTH,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    config = Qwen3Config(
        vocab_size=128,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    tokenizer = qwen_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    return ZImagePipeline(
        scheduler=flow(),
        vae=vae(16),
        text_encoder=Qwen3Model(config),
        tokenizer=tokenizer,
        transformer=transformer,
    )


MAKERS = {
    "aura": aura,
    "chroma": chroma,
    "flux": flux,
    "lumina": lumina,
    "pixart": pixart,
    "qwen": qwen,
    "sana": sana,
    "sd3": sd3,
    "wan": wan,
    "zimage": zimage,
}


@pytest.fixture(scope="session")
def makers():
    """What makes each tiny pipeline."""
    return MAKERS


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """`tiny(name)`: a folder with random weights, and the pipeline that diffusers itself opens there.

    It is opened, not the one in memory, because rounding depends on where in memory weights begin.
    """
    made = {}

    def make(name):
        if name not in made:
            import torch

            torch.manual_seed(len(made))
            made_here, folder = MAKERS[name](), tmp_path_factory.mktemp("tiny") / name
            made_here.save_pretrained(folder)
            pipeline = type(made_here).from_pretrained(folder)
            pipeline.set_progress_bar_config(disable=True)
            made[name] = SimpleNamespace(pipeline=pipeline, folder=folder)
        return made[name]

    return make


@pytest.fixture
def renamed(tiny, tmp_path):
    """`renamed(name, kind)`: a copy of a folder whose index names another class."""

    def make(name, kind):
        folder = tmp_path / name
        copytree(tiny(name).folder, folder)
        index = folder / "model_index.json"
        index.write_text(json.dumps({**json.loads(index.read_text()), "_class_name": kind}))
        return folder

    return make


@pytest.fixture(scope="session")
def plugins():
    """This plugin and those that the tasks need."""
    return PLUGINS


@pytest.fixture(scope="session")
def host():
    """A host with this plugin and those that the tasks need."""
    with Host(plugins=PLUGINS) as opened:
        assert [record.reason for record in opened.records if record.status != "active"] == []
        yield opened


@pytest.fixture
def ask(tiny):
    """`ask(name, task, …)`: a request of 32 × 32 pixels in 3 steps."""

    def make(name, task="txt2img", **more):
        model = str(tiny(name).folder) if isinstance(name, str) else str(name)
        asked = {"prompt": "a red apple", "steps": 3, "seed": 7, "width": 32, "height": 32}
        return Request(task=task, model=model, **{**asked, **more})

    return make


@pytest.fixture(scope="session")
def photo():
    """A picture of 32 × 32 pixels."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def mask():
    """White in the right half."""
    from PIL import Image

    mask = Image.new("L", (32, 32))
    mask.paste(255, (16, 0, 32, 32))
    return mask
