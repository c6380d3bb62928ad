"""``python -m latentry_emoji.training.precompute``: encode the scenes the denoiser learns from."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

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
    parser.add_argument("--processes", type=int, default=1, help="draw and encode in so many at a time")
    parser.add_argument("--device", default="cpu", help="where to encode: cpu or cuda")
    options = parser.parse_args(arguments)
    settings = VaeSettings()
    drawn = artwork.from_font(options.font)
    encoding = latents.Encoding(drawn, settings.side, options.seed, device=options.device)
    vae = partial(trained_vae, options.folder, settings)
    folder = options.folder / LATENTS
    latents.precompute(vae, encoding, folder, options.count, processes=options.processes)


if __name__ == "__main__":
    main()
