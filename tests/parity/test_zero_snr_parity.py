"""Zero terminal SNR can be asked for where the checkpoint does not say it, and left out where it does."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

from latentry import Host, Request
from latentry_sdk import LATENTS

VELOCITY = {"prediction_type": "v_prediction"}
PROMPT, STEPS, PIXELS = "a red fish", 10, 64


def changed(folder: Path, target: Path, **scheduler: Any) -> Path:
    """A copy of the model whose scheduler is configured otherwise."""
    copytree(folder, target)
    config = target / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **scheduler}))
    return target


def asked(folder: Path, **option: Any) -> Request:
    return Request(
        task="txt2img", model=str(folder), prompt=PROMPT, sampler="euler", scheduler="simple", steps=STEPS,
        width=PIXELS, height=PIXELS, seed=3, guidance=1, options={"simple": option},
    )  # fmt: skip


@pytest.mark.parametrize(("says", "wanted"), [(False, True), (True, False)])
def test_what_is_asked_for_equals_diffusers_with_a_checkpoint_that_says_otherwise(
    host: Host, small: Callable[[str], Any], watcher: Any, tmp_path: Path, *, says: bool, wanted: bool
) -> None:
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

    model = small("sd")
    folder = changed(model.folder, tmp_path / "model", **VELOCITY, rescale_betas_zero_snr=says)
    host.run(asked(folder, zero_snr=wanted))

    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="trailing",
        **VELOCITY, rescale_betas_zero_snr=wanted, steps_offset=1,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(**{**model.parts, "scheduler": scheduler})
    pipeline.set_progress_bar_config(disable=True)
    scheduler.set_timesteps(STEPS)
    noise = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(3))
    first = float(scheduler.sigmas[0])
    start = noise * (first**2 + 1) ** 0.5 / float(scheduler.init_noise_sigma)
    theirs = pipeline(
        PROMPT, width=PIXELS, height=PIXELS, num_inference_steps=STEPS, guidance_scale=1, latents=start,
        output_type="latent",
    ).images  # fmt: skip
    ours = watcher.after["sample"][LATENTS]
    assert float((ours - theirs).abs().max()) < 1e-3 * float(theirs.std())


def test_it_changes_the_picture_and_nothing_changes_unasked(
    host: Host, small: Callable[[str], Any], watcher: Any, tmp_path: Path
) -> None:
    folder = changed(small("sd").folder, tmp_path / "model", **VELOCITY)
    ends = []
    for option in ({}, {"zero_snr": False}, {"zero_snr": True}):
        host.run(asked(folder, **option))
        ends.append(watcher.after["sample"][LATENTS])
    assert ends[0].equal(ends[1])
    assert not ends[0].equal(ends[2])


def test_a_model_that_predicts_the_noise_gives_a_warning(
    host: Host, small: Callable[[str], Any], watcher: Any
) -> None:
    made = host.run(asked(small("sd").folder, zero_snr=True))
    assert ["should predict the velocity" in warning for warning in made.warnings] == [True]
    assert watcher.after["sample"][LATENTS].isfinite().all()
    assert host.run(asked(small("sd").folder)).warnings == ()
