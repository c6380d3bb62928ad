"""Sizes, and what enlarging does to latents and pictures."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import interpolate

from latentry_hires.options import HiresOptions, spelled
from latentry_hires.planning import schedule_steps, second_size
from latentry_hires.upscaling import LATENT, covering, larger_latents, larger_picture

SIDE = st.integers(1, 3000)


@given(SIDE, SIDE, SIDE, SIDE)
def test_a_covering_size_covers_and_keeps_the_aspect(width: int, height: int, wide: int, high: int) -> None:
    covers = covering((width, height), (wide, high))
    assert covers[0] >= wide
    assert covers[1] >= high
    assert covers[0] == wide or covers[1] == high
    scale = max(wide / width, high / height)
    assert abs(covers[0] - width * scale) <= 0.5 + 1e-6
    assert abs(covers[1] - height * scale) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (1024, 768)),
        ({"scale": 1.5}, (768, 576)),
        ({"scale": 1.3}, (664, 496)),
        ({"width": 640}, (640, 480)),
        ({"height": 480}, (640, 480)),
        ({"width": 640, "height": 640, "scale": 4}, (640, 640)),
        ({"width": 515}, (515, 384)),
    ],
    ids=str,
)
def test_the_second_size(asked: dict[str, float], size: tuple[int, int]) -> None:
    """A side that is asked for stays as it is: planning says whether the model takes it."""
    assert second_size((512, 384), 8, HiresOptions.model_validate(asked)) == size


@given(st.integers(1, 150), st.floats(0.05, 1))
def test_exact_steps_leave_as_many_as_asked(steps: int, strength: float) -> None:
    options = HiresOptions(steps=steps, strength=strength, exact_steps=True)
    assert schedule_steps(20, options) >= steps
    assert schedule_steps(20, options) == int(steps / min(strength, 0.999))  # what A1111 asks its sampler for
    assert schedule_steps(20, HiresOptions(strength=strength)) == 20


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        ("Latent", "latent"),
        ("Latent (antialiased)", "latent_antialiased"),
        ("Latent (bicubic)", "latent_bicubic"),
        ("Latent (bicubic antialiased)", "latent_bicubic_antialiased"),
        ("Latent (nearest)", "latent_nearest"),
        ("Latent (nearest-exact)", "latent_nearest_exact"),
        ("Lanczos", "lanczos"),
        ("Nearest", "nearest"),
    ],
)
def test_names_of_a1111_are_known(foreign: str, ours: str) -> None:
    assert spelled(foreign) == ours
    assert HiresOptions.model_validate({"upscaler": foreign}).upscaler == ours


@pytest.mark.parametrize("upscaler", LATENT)
def test_latents_keep_their_aspect_and_their_middle(upscaler: str) -> None:
    """Twice as wide as high, to a square: the outer columns go."""
    latents = torch.randn(2, 4, 6, 12, generator=torch.Generator().manual_seed(0))
    mode, antialias = LATENT[upscaler]
    whole = interpolate(latents, size=(9, 18), mode=mode, antialias=antialias)
    torch.testing.assert_close(larger_latents(latents, (9, 9), upscaler), whole[..., 4:13])


@pytest.mark.parametrize("upscaler", ["lanczos", "bicubic", "bilinear", "nearest"])
def test_pictures_keep_their_aspect_and_their_middle(upscaler: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    whole = np.asarray(picture.resize((9, 18), Image.Resampling[upscaler.upper()]))
    assert np.array_equal(np.asarray(larger_picture(picture, (9, 9), upscaler)), whole[4:13])
