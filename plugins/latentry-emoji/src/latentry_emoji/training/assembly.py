"""Put trained parts together as a pipeline that diffusers loads like any other."""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLInpaintPipeline

from latentry_emoji.training.denoiser import Denoiser
from latentry_emoji.training.noising import TIMES


def assemble(vae: AutoencoderKL, denoiser: Denoiser) -> Any:
    """A StableDiffusionXLInpaintPipeline that shares the given parts."""
    pipeline = StableDiffusionXLInpaintPipeline(
        vae=vae.eval(),
        text_encoder=denoiser.text.first.eval(),
        text_encoder_2=denoiser.text.second.eval(),
        tokenizer=denoiser.text.tokenizers[0],
        tokenizer_2=denoiser.text.tokenizers[1],
        unet=denoiser.unet.eval(),
        scheduler=EulerDiscreteScheduler(
            TIMES,
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        ),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
