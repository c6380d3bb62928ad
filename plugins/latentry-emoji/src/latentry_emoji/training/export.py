"""``python -m latentry_emoji.training.export``: write the trained model as a diffusers folder."""

from __future__ import annotations

import argparse
import copy
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from latentry_emoji.training import latents
from latentry_emoji.training.assembly import assemble
from latentry_emoji.training.card import write_card
from latentry_emoji.training.diffusion import DiffusionSettings
from latentry_emoji.training.loop import Run, read_log
from latentry_emoji.training.stages import (
    DIFFUSION,
    EXPORT,
    LATENTS,
    LOGS,
    VAE,
    trained_denoiser,
    trained_vae,
)
from latentry_emoji.training.vae import VaeSettings

READABLE = 0o644


def main(arguments: list[str] | None = None) -> None:
    """Write half-precision safetensors that load in StableDiffusionXLInpaintPipeline, even mid-training.

    Before the denoiser's training has begun it is the autoencoder alone.
    """
    parser = argparse.ArgumentParser(prog="latentry_emoji.training.export", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the folder given to the other commands")
    parser.add_argument("--count", type=int, default=latents.COUNT, help="scenes the denoiser learned from")
    parser.add_argument("--to", type=Path, help="where to write; the folder's own model/ unless given")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    target = options.to or options.folder / EXPORT
    logs = {name: read_log(Run(options.folder / name, 0).log) for name in (VAE, DIFFUSION)}
    vae = trained_vae(options.folder, VaeSettings())
    if Run(options.folder / DIFFUSION, 0).checkpoint.is_file():
        samples = latents.load(options.folder / LATENTS, options.count)
        vae.register_to_config(scaling_factor=samples.scaling_factor)
        export(assemble(vae, trained_denoiser(options.folder, DiffusionSettings())), target)
        write_card(target, logs)
    else:
        export(vae, target, VAE)
    (target / LOGS).write_text(json.dumps(logs))


def export(model: Any, target: Path, part: str = "") -> None:
    """Write a pipeline, or a `part` of one, into `target`, whole or not at all, over what was there."""
    unfinished = target.with_name(target.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    copy.deepcopy(model).to(torch.float16).save_pretrained(unfinished / part, safe_serialization=True)
    for file in unfinished.rglob("*.*"):
        if file.is_file():
            file.chmod(READABLE)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


if __name__ == "__main__":
    main()
