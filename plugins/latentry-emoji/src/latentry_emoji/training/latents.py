"""Encode scenes once, before the denoiser is trained, and keep the latents in files of some thousand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from rich.progress import track
from torch.nn import functional

from latentry_emoji.training.artwork import Artwork
from latentry_emoji.training.drawing import draw
from latentry_emoji.training.loop import save
from latentry_emoji.training.masks import random_mask
from latentry_emoji.training.pictures import to_tensor
from latentry_emoji.training.randomness import numpy_generator
from latentry_emoji.training.sampling import DRAWING, Mixture, training_scene

COUNT = 36000
SHARD = 1000
CHUNK = 20


@dataclass(frozen=True)
class Samples:
    """Captions with latents as the denoiser sees them.

    `clean` and `masked` are (count, 4, height, width) half-precision latents of the scene and of the scene
    with grey where it is to be painted, not yet scaled; `mask` is (count, 1, height, width), true where to
    paint.
    """

    captions: list[str]
    clean: torch.Tensor
    masked: torch.Tensor
    mask: torch.Tensor

    def __len__(self) -> int:
        return len(self.captions)

    def to(self, device: torch.device) -> Samples:
        """The same samples on a device."""
        return Samples(self.captions, *(part.to(device) for part in (self.clean, self.masked, self.mask)))

    @property
    def scaling_factor(self) -> float:
        """One over the standard deviation of the latents: what brings them to unit variance."""
        return float(1 / self.clean.float().std())


@dataclass(frozen=True)
class Encoding:
    """How scenes become samples, and the device that encodes them."""

    artwork: Artwork
    side: int = 64
    seed: int = 0
    mixture: Mixture = DRAWING
    device: str = "cpu"


def precompute(
    new_vae: Callable[[], AutoencoderKL], encoding: Encoding, folder: Path, count: int, *, processes: int = 1
) -> None:
    """Write `count` samples, rounded up to thousands, in so many processes; files already there are kept.

    Every process makes itself an autoencoder with `new_vae`, which is pickled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(-(-count // SHARD)) if not _file(folder, index).is_file()]
    write = partial(_write, new_vae, encoding, folder)
    with get_context("spawn").Pool(processes) as pool:
        for _ in track(pool.imap_unordered(write, missing), "latents", total=len(missing)):
            pass


def load(folder: Path, count: int) -> Samples:
    """The first `count` samples of a folder, in memory."""
    shards = [torch.load(_file(folder, index), weights_only=True) for index in range(-(-count // SHARD))]
    captions = [caption for shard in shards for caption in shard["captions"]]
    clean, masked, mask = (
        torch.cat([shard[key] for shard in shards])[:count] for key in ("clean", "masked", "mask")
    )
    return Samples(captions[:count], clean, masked, mask)


@torch.inference_mode()
def encode_samples(vae: AutoencoderKL, encoding: Encoding, part: int, count: int) -> Samples:
    """Draw and encode `count` scenes; the part's number and the seed decide which."""
    chunks = list(_chunks(vae, encoding, part, count))
    captions = [caption for chunk in chunks for caption in chunk.captions]
    return Samples(
        captions,
        torch.cat([chunk.clean for chunk in chunks]),
        torch.cat([chunk.masked for chunk in chunks]),
        torch.cat([chunk.mask for chunk in chunks]),
    )


def _write(new_vae: Callable[[], AutoencoderKL], encoding: Encoding, folder: Path, index: int) -> None:
    torch.set_num_threads(1)
    samples = encode_samples(new_vae().to(encoding.device), encoding, index, SHARD)
    save(_as_dict(samples), _file(folder, index))


def _chunks(vae: AutoencoderKL, encoding: Encoding, part: int, count: int) -> Iterator[Samples]:
    generator = numpy_generator(encoding.seed, part, 1)
    names = tuple(encoding.artwork)
    for start in range(0, count, CHUNK):
        scenes = [
            training_scene(generator, names, encoding.mixture) for _ in range(min(CHUNK, count - start))
        ]
        seen = to_tensor([draw(scene, encoding.artwork, encoding.side) for scene in scenes])
        masks = [torch.from_numpy(random_mask(generator, scene, encoding.side)) for scene in scenes]
        mask = torch.stack(masks)[:, None]
        clean, masked = (
            vae.encode(part.to(encoding.device)).latent_dist.mode().cpu() for part in (seen, seen * ~mask)
        )
        small = functional.interpolate(mask.float(), size=clean.shape[-2:]).bool()
        yield Samples([scene.caption for scene in scenes], clean.half(), masked.half(), small)


def _as_dict(samples: Samples) -> dict[str, object]:
    return {
        "captions": samples.captions,
        "clean": samples.clean.clone(),
        "masked": samples.masked.clone(),
        "mask": samples.mask.clone(),
    }


def _file(folder: Path, index: int) -> Path:
    return folder / f"samples-{index:04d}.pt"
