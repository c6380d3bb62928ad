"""``python -m latentry_emoji.training.train_vae``: train the autoencoder, or go on training it."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from latentry_emoji.training import artwork
from latentry_emoji.training.loop import Run, Schedule, train
from latentry_emoji.training.stages import VAE
from latentry_emoji.training.vae import VaeSettings, VaeTraining


def main(arguments: list[str] | None = None) -> None:
    """Train up to ``--steps``; the same command resumes after a kill."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    settings = VaeSettings(batch=options.batch, seed=options.seed)
    schedule = Schedule(options.steps, options.rate)
    train(
        VaeTraining(settings, schedule, artwork.from_font(options.font)),
        Run(options.folder / VAE, options.steps),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latentry_emoji.training.train_vae", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoints and logs live")
    parser.add_argument("--font", type=Path, default=artwork.FONT, help="Noto Color Emoji with bitmaps")
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=8, help="scenes a step")
    parser.add_argument("--rate", type=float, default=1.2e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
