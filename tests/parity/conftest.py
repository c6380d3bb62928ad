"""Small pipelines of diffusers with random weights, and a host that runs them."""

import contextlib
import string
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image

import latentry_cfg_zero
import latentry_cpu
import latentry_guidance_end
import latentry_guidance_rescale
import latentry_hires
import latentry_images
import latentry_img2img
import latentry_inpaint
import latentry_prompt
import latentry_refiner
import latentry_samplers
import latentry_schedules
import latentry_stable_diffusion
import latentry_txt2img
from latentry import Host
from latentry_sdk import IMAGES, StageSpec, State, hookimpl

PLUGINS = (
    latentry_cfg_zero,
    latentry_cpu,
    latentry_guidance_end,
    latentry_guidance_rescale,
    latentry_hires,
    latentry_images,
    latentry_img2img,
    latentry_inpaint,
    latentry_prompt,
    latentry_refiner,
    latentry_samplers,
    latentry_schedules,
    latentry_stable_diffusion,
    latentry_txt2img,
)
PIXELS, FACTOR, WIDTH, TOKENS = 64, 4, 32, 16
TRAINED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@dataclass(frozen=True)
class Small:
    """A pipeline of diffusers, and the folder it is saved in."""

    pipeline: Any
    folder: Path

    @property
    def parts(self) -> dict[str, Any]:
        """What another pipeline of the same model is made with."""
        parts = dict(self.pipeline.components)
        if "safety_checker" in parts:
            parts["requires_safety_checker"] = False
        return parts


class Watcher:
    """A plugin that keeps the state after each stage of the last job."""

    def __init__(self) -> None:
        self.after: dict[str, State] = {}

    @hookimpl(wrapper=True)
    def run_stage(self, stage: StageSpec, state: State) -> Generator[None, State, State]:
        """Remember what the stage gave."""
        after = yield
        self.after[stage.name] = after
        return after

    @property
    def decoded(self) -> Any:
        """The pictures as the VAE gave them, before compositing."""
        (stage,) = [name for name in self.after if name.endswith(".decode")]
        return self.after[stage][IMAGES]


class UnitVarianceEuler(EulerDiscreteScheduler):  # type: ignore[misc]
    """Euler that starts from noise * sqrt(1 + sigma^2), as Latentry does.

    With linspace spacing diffusers starts from noise * sigma, though with leading spacing it starts as here.
    Scaling the `latents` handed to a pipeline would do for text to image alone: inpainting takes them for the
    noise, too.
    """

    @property
    def init_noise_sigma(self) -> Any:
        """The deviation of unit-variance latents under the first noise level."""
        return (self.sigmas.max() ** 2 + 1) ** 0.5


class MeanInpaint(StableDiffusionInpaintPipeline):  # type: ignore[misc]
    """Inpainting whose generator draws the noise alone, not the picture's posterior before it."""

    def _encode_vae_image(self, image: Any, generator: Any) -> Any:
        return super()._encode_vae_image(image, None)


class MeanXLInpaint(StableDiffusionXLInpaintPipeline):  # type: ignore[misc]
    """The same for SDXL."""

    def _encode_vae_image(self, image: Any, generator: Any) -> Any:
        return super()._encode_vae_image(image, None)


class MeanImg2Img(StableDiffusionImg2ImgPipeline):  # type: ignore[misc]
    """Image to image whose generator draws the noise alone: latents go in where pictures would be encoded."""

    def prepare_latents(self, image: Any, *more: Any, **named: Any) -> Any:
        return super().prepare_latents(_encoded(self.vae, image), *more, **named)


class MeanXLImg2Img(StableDiffusionXLImg2ImgPipeline):  # type: ignore[misc]
    """The same for SDXL."""

    def prepare_latents(self, image: Any, *more: Any, **named: Any) -> Any:
        return super().prepare_latents(_encoded(self.vae, image), *more, **named)


def _encoded(vae: Any, image: Any) -> Any:
    """The mean of the picture's posterior; latents as they are."""
    if image.shape[1] == vae.config.latent_channels:
        return image
    return vae.encode(image).latent_dist.mode() * vae.config.scaling_factor


PIPELINES = {
    "txt2img": (StableDiffusionPipeline, StableDiffusionXLPipeline),
    "img2img": (MeanImg2Img, MeanXLImg2Img),
    "inpaint": (MeanInpaint, MeanXLInpaint),
}


class Reference:
    """Runs diffusers' pipelines, and compares."""

    def __call__(
        self,
        model: Small,
        sampler: str,
        task: str,
        *,
        after_step: Callable[[Any, int, dict[str, Any]], dict[str, Any]] = lambda *_: {},
        **asked: Any,
    ) -> tuple[Any, Any]:
        """Latents and picture of the pipeline for a task; `after_step` may change its values."""
        kind = PIPELINES[task][hasattr(model.pipeline, "text_encoder_2")]
        pipeline = kind(**{**model.parts, "scheduler": self._scheduler(sampler)})
        pipeline.set_progress_bar_config(disable=True)
        kept: dict[str, Any] = {}

        def keep(pipeline: Any, step: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            kept.update(values)
            return after_step(pipeline, step, values)

        picture = pipeline(callback_on_step_end=keep, **asked).images[0]
        return kept["latents"], picture

    def assert_same(self, ours: Any, theirs: Any) -> None:
        """Latents within 1e-4 of their scale."""
        assert ours.shape == theirs.shape
        assert float((ours - theirs).abs().max()) <= 1e-4 * float(theirs.std())

    def furthest(self, ours: Image.Image, theirs: Image.Image) -> int:
        """The largest difference of two pictures, in steps of 1/255."""
        return int(np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int)).max())

    def _scheduler(self, sampler: str) -> Any:
        if sampler == "euler":
            return UnitVarianceEuler(**TRAINED, timestep_spacing="linspace", steps_offset=1)
        return DDIMScheduler(
            **TRAINED, timestep_spacing="leading", steps_offset=1, set_alpha_to_one=True, clip_sample=False
        )


@pytest.fixture(scope="session")
def watcher() -> Watcher:
    """What the host's stages gave, by their names."""
    return Watcher()


@pytest.fixture(scope="session")
def reference() -> Reference:
    """diffusers' pipelines on the same weights."""
    return Reference()


@pytest.fixture(scope="session")
def host(watcher: Watcher) -> Iterator[Host]:
    """A host that runs Stable Diffusion on the CPU, with every plugin active."""
    with contextlib.closing(Host(plugins=[*PLUGINS, watcher])) as host:
        assert {record.status for record in host.records} == {"active"}, host.records
        yield host


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Small]:
    """`small(name)`: the pipeline "sd", "sdxl", "sdxl-refiner", "sd-inpaint" or "sdxl-inpaint", made once."""
    made: dict[str, Small] = {}

    def make(name: str) -> Small:
        if name not in made:
            pipeline, folder = _pipeline(name), tmp_path_factory.mktemp("small") / name
            pipeline.save_pretrained(folder)
            made[name] = Small(pipeline, folder)
        return made[name]

    return make


def _pipeline(name: str) -> Any:
    import diffusers
    import torch

    torch.manual_seed(0)
    is_xl, channels = name.startswith("sdxl"), 9 if name.endswith("inpaint") else 4
    parts = {
        "vae": _vae(),
        "text_encoder": _text_encoder(projected=False),
        "tokenizer": _tokenizer(),
        "unet": _unet(channels, is_xl=is_xl),
        "scheduler": diffusers.DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            steps_offset=1,
        ),
    }
    if name == "sdxl-refiner":
        parts |= {"text_encoder": None, "tokenizer": None, "unet": _unet(channels, is_xl=True, refines=True)}
        parts |= {"text_encoder_2": _text_encoder(projected=True), "tokenizer_2": _tokenizer()}
        parts |= {"requires_aesthetics_score": True, "add_watermarker": False}
        return StableDiffusionXLImg2ImgPipeline(**parts)
    if is_xl:
        parts |= {"text_encoder_2": _text_encoder(projected=True), "tokenizer_2": _tokenizer()}
        kind = "StableDiffusionXLInpaintPipeline" if channels == 9 else "StableDiffusionXLPipeline"
        return getattr(diffusers, kind)(**parts, add_watermarker=False)
    parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    kind = "StableDiffusionInpaintPipeline" if channels == 9 else "StableDiffusionPipeline"
    return getattr(diffusers, kind)(**parts)


def _unet(channels: int, *, is_xl: bool, refines: bool = False) -> Any:
    """A UNet whose output is of the noise's order, so that a mistake in any input shows in the picture."""
    import torch
    from diffusers import UNet2DConditionModel

    added = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": (5 if refines else 6) * 8 + WIDTH,
    }
    unet = UNet2DConditionModel(
        sample_size=PIXELS // FACTOR,
        in_channels=channels,
        block_out_channels=(32, 64),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=(4, 8),
        cross_attention_dim=2 * WIDTH if is_xl and not refines else WIDTH,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=is_xl,
        **(added if is_xl else {}),
    )
    with torch.no_grad():
        unet.conv_out.weight.mul_(3)
    return unet.eval()


def _vae() -> Any:
    """A VAE of so narrow a posterior that diffusers' draw from it is its mean."""
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        sample_size=PIXELS,
        block_out_channels=(16, 16, 32),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=8,
        layers_per_block=1,
        scaling_factor=0.3,
    )
    with torch.no_grad():
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = -30
    return vae.eval()


def _text_encoder(*, projected: bool) -> Any:
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=_vocabulary()["<|startoftext|>"],
        eos_token_id=_vocabulary()["<|endoftext|>"],
        initializer_range=0.3,
    )
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return kind(config).eval()


def _tokenizer() -> Any:
    """A tokenizer that spells: one token a letter."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer(vocab=_vocabulary(), merges=[], pad_token="<|endoftext|>", model_max_length=TOKENS)


def _vocabulary() -> dict[str, int]:
    letters = string.ascii_lowercase
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}
