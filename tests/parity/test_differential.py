"""With differential diffusion a mask's greys change as much as they are light."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from latentry import Host, Request
from latentry_sdk import DENOISE, JOB, KNOWN, LATENTS, MASK_LATENTS, NOISE, SIGMAS, timestep_at

BANDS = (0, 64, 128, 192, 255)
every_kind_of_model = pytest.mark.parametrize("name", ["sd", "sdxl", "sd-inpaint", "sdxl-inpaint"])


def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (64, 80, 3), dtype=np.uint8))


def bands(*greys: int) -> Image.Image:
    """Upright stripes 16 pixels wide."""
    return Image.fromarray(np.repeat(np.array([greys], np.uint8).repeat(64, axis=0), 16, axis=1))


def request(folder: Any, mask: Image.Image, **options: Any) -> Request:
    return Request(
        task="inpaint",
        model=str(folder),
        prompt="a fish",
        steps=10,
        seed=3,
        sampler="euler",
        scheduler="normal",
        inputs={"image": image(), "mask": mask},
        options={"inpaint": options},
    )


@every_kind_of_model
@pytest.mark.parametrize("strength", [1.0, 0.7])
def test_lighter_bands_change_more_and_black_does_not(
    host: Host, small: Callable[[str], Any], watcher: Any, *, name: str, strength: float
) -> None:
    result = host.run(request(small(name).folder, bands(*BANDS), strength=strength, differential=True))
    made, known = watcher.after["sample"][LATENTS], watcher.after["sample"][KNOWN]
    changes = [float(band.abs().mean()) for band in (made - known).chunk(5, dim=-1)]
    assert changes[0] == 0
    assert changes == sorted(changes)
    after = np.asarray(result.artifacts[0].open())
    assert np.array_equal(after[:, :16], np.asarray(image())[:, :16])


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_a_hard_mask_is_painted_as_without_it_below_strength_one(
    host: Host, small: Callable[[str], Any], watcher: Any, name: str
) -> None:
    found = []
    for differential in (False, True):
        mask = bands(0, 255, 255, 0, 255)
        host.run(request(small(name).folder, mask, strength=0.7, differential=differential))
        found.append(watcher.after["sample"][LATENTS])
    assert torch.equal(*found)


@every_kind_of_model
def test_each_grey_equals_putting_the_picture_back_until_its_step(
    host: Host, small: Callable[[str], Any], watcher: Any, name: str
) -> None:
    """Euler written out over the family's own denoiser, which knows of no grey."""
    host.run(request(small(name).folder, bands(*BANDS), strength=0.7, differential=True))
    before = watcher.after["inpaint.start"]
    known, x, sigmas = before[KNOWN], before[LATENTS], before[SIGMAS]
    noise, levels = before[NOISE].initial(), before[JOB].plan.detected.model_range
    greys = torch.tensor(np.asarray(bands(*BANDS))[::4, ::4].copy())[None, None].int()
    with torch.no_grad():
        for now, nxt in pairwise(sigmas):
            share = (greys - 1 + greys % 2) / 255  # greys count two by two
            kept = (greys == 0) | (share < timestep_at(levels, now) / timestep_at(levels, sigmas[0]))
            clean = before[DENOISE](x, now)
            x = x + (x - clean) / now * (nxt - now)
            x = torch.where(kept, known + nxt * noise, x)
    made = watcher.after["sample"][LATENTS]
    assert before[MASK_LATENTS].shape == greys.shape
    assert float((made - x).abs().max()) <= 1e-4 * float(x.std())
