"""``python -m latentry_emoji.training.precompute``: encode the scenes the denoiser learns from."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from latentry_emoji.training import artwork, latents
from latentry_emoji.training.stages import LATENTS, trained_vae
from latentry_emoji.training.vae import VaeSettings


def main(arguments: list[str] | None = None) -> None:
    """Encode ``--count`` scenes with the trained autoencoder; the same command resumes after a kill."""
    parser = argparse.ArgumentParser(prog="latentry_emoji.training.precompute", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the folder given to train_vae")
    parser.add_argument("--font", type=Path, default=artwork.FONT, help="Noto Color Emoji with bitmaps")
    parser.add_argument("--count", type=int, default=latents.COUNT, help="scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    settings = VaeSettings()
    encoding = latents.Encoding(artwork.from_font(options.font), settings.side, options.seed)
    vae = trained_vae(options.folder, settings)
    latents.precompute(vae, encoding, options.folder / LATENTS, options.count)


if __name__ == "__main__":
    main()
