"""Say where the stages of a training keep their results, and read one stage's result in the next."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL

from latentry_emoji.training.average import Average
from latentry_emoji.training.denoiser import Denoiser, new_denoiser
from latentry_emoji.training.diffusion import DiffusionSettings
from latentry_emoji.training.loop import Run, State
from latentry_emoji.training.vae import VaeSettings, new_vae

VAE, LATENTS, DIFFUSION, EXPORT = "vae", "latents", "diffusion", "model"
LOGS = "training.json"
"""The file in an exported model with the whole logs of both trainings."""


def trained_vae(folder: Path, settings: VaeSettings) -> AutoencoderKL:
    """The autoencoder with the average weights of its latest checkpoint."""
    vae = new_vae(settings)
    average = Average((vae,), settings.decay)
    average.restore(_state(folder / VAE)["average"])
    average.adopt()
    return vae.eval()


def trained_denoiser(folder: Path, settings: DiffusionSettings) -> Denoiser:
    """The denoiser and text encoders with the average weights of their latest checkpoint."""
    denoiser = new_denoiser(settings.denoiser)
    average = Average(denoiser.modules, settings.decay)
    average.restore(_state(folder / DIFFUSION)["average"])
    average.adopt()
    return denoiser


def _state(folder: Path) -> State:
    saved: State = torch.load(Run(folder, 0).checkpoint, map_location="cpu", weights_only=True)
    state: State = saved["trainee"]
    return state
