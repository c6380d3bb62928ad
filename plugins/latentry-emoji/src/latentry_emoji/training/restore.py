"""``python -m latentry_emoji.training.restore``: go on from an exported model, on another machine say."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from latentry_emoji.training.loop import Run, State, new_optimizer, save
from latentry_emoji.training.stages import DIFFUSION, LOGS, VAE


def main(arguments: list[str] | None = None) -> None:
    """Make checkpoints and logs of an exported model; the moments of the optimizers begin anew."""
    parser = argparse.ArgumentParser(prog="latentry_emoji.training.restore", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the folder given to the other commands")
    parser.add_argument("--model", type=Path, required=True, help="a folder that export wrote")
    options = parser.parse_args(arguments)
    restore(options.model, options.folder)


def restore(model: Path, folder: Path) -> None:
    """Write what both trainings resume from; FileExistsError where one has begun already.

    A model that is an autoencoder alone leaves the other training at its start.
    """
    logs = json.loads((model / LOGS).read_text())
    vae = AutoencoderKL.from_pretrained(model / VAE)
    _write(Run(folder / VAE, 0), logs[VAE], {"vae": vae.float().state_dict(), **_moments((vae,))})
    if not (model / "unet").is_dir():
        return
    denoiser = (
        UNet2DConditionModel.from_pretrained(model / "unet"),
        CLIPTextModel.from_pretrained(model / "text_encoder"),
        CLIPTextModelWithProjection.from_pretrained(model / "text_encoder_2"),
    )
    states = [module.float().state_dict() for module in denoiser]
    _write(Run(folder / DIFFUSION, 0), logs[DIFFUSION], {"modules": states, **_moments(denoiser)})


def _moments(modules: Sequence[nn.Module]) -> State:
    weights = [weight.detach() for module in modules for weight in module.parameters()]
    return {"optimizer": new_optimizer(weights).state_dict(), "average": weights}


def _write(run: Run, log: list[dict[str, float]], trainee: State) -> None:
    if run.checkpoint.exists():
        raise FileExistsError(f"{run.checkpoint} exists: this training has begun already")
    run.folder.mkdir(parents=True, exist_ok=True)
    run.log.write_text("".join(json.dumps(entry) + "\n" for entry in log))
    done = log[-1] if log else {"step": 0, "seconds": 0.0}
    save({"step": int(done["step"]), "seconds": done["seconds"], "trainee": trainee}, run.checkpoint)


if __name__ == "__main__":
    main()
