"""A small SDXL model, and jobs on it that run on the pretend accelerator."""

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import latentry_attention
import latentry_cpu
import latentry_images
import latentry_layerwise
import latentry_offload
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_tiling
import latentry_txt2img
from latentry import Host
from latentry_sdk import Config, Request
from latentry_sdk.testing.accelerator import FakeAccelerator, Ledger
from latentry_sdk.testing.accelerator.ledger import operators
from latentry_stable_diffusion.tokenizers import clip_tokenizer

PLUGINS = (
    latentry_attention,
    latentry_cpu,
    latentry_images,
    latentry_layerwise,
    latentry_offload,
    latentry_samplers,
    latentry_schedules,
    latentry_stable_diffusion,
    latentry_tiling,
    latentry_txt2img,
)
SIDE = 64
PLENTY = 1 << 40
ENDS = ("<|endoftext|>", "!")


@dataclass(frozen=True)
class Ran:
    """What a job gave: its picture's pixels, the most that the accelerator held, and what was applied."""

    pixels: bytes
    peak: int
    applied: Mapping[str, Any]


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model whose UNet outweighs the rest."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionXLPipeline

    torch.manual_seed(3)
    parts = {"unet": _unet(), "vae": _vae(), "scheduler": DDIMScheduler()}
    for end, width, pad in (("", 16, ENDS[0]), ("_2", 24, ENDS[1])):
        parts[f"text_encoder{end}"] = _text(width, projection=bool(end))
        parts[f"tokenizer{end}"] = clip_tokenizer(pad)
    folder = tmp_path_factory.mktemp("optimized") / "model"
    StableDiffusionXLPipeline(**parts, add_watermarker=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run(*optimizers, size=…, fused=…, options=…, **asked)`: one job on an accelerator of so many bytes."""

    def job(*optimizers: str, size: int = PLENTY, fused: bool = True, side: int = SIDE, **asked: Any) -> Ran:
        fake, config = FakeAccelerator(size, fused=fused), Config(data_dir=tmp_path_factory.mktemp("data"))
        fields = {"steps": 2, "guidance": 3.0, "place": {"*": "fake"}, **asked}
        request = Request(
            task="txt2img", model=str(model), prompt="a red fish", width=side, height=side, seed=3,
            optimizers=optimizers, memory="off", **fields,
        )  # fmt: skip
        operators()
        ledger = Ledger()
        with Host(plugins=[*PLUGINS, fake], config=config) as host:
            assert {record.status for record in host.records} == {"active"}, host.records
            ledger.restart()
            result = host.run(request)
            peak = ledger.peak
        gc.collect()
        assert ledger.now == 0, "all is given back"
        picture = Image.open(BytesIO(result.artifacts[0].data))
        return Ran(picture.tobytes(), peak, result.applied)

    return job


@pytest.fixture(scope="session")
def plain(run: Run) -> Ran:
    """The job without any optimizer."""
    return run()


def _unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(64, 128),
        layers_per_block=2,
        norm_num_groups=8,
        attention_head_dim=8,
        transformer_layers_per_block=2,
        cross_attention_dim=40,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 24,
    )


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=8,
        layers_per_block=1,
        scaling_factor=0.3,
    )


def _text(width: int, *, projection: bool) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=49408,
        bos_token_id=49406,
        eos_token_id=49407,
        hidden_size=width,
        intermediate_size=2 * width,
        num_attention_heads=4,
        num_hidden_layers=3,
        projection_dim=width,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)
