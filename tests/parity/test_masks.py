"""Outside the mask the finished file holds the input's pixels, whatever model and size."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentry import Host, Request

KINDS = ("empty", "full", "pixel", "hard", "soft")


def picture(size: tuple[int, int], mode: str) -> Image.Image:
    width, height = size
    values = np.random.default_rng(5).integers(0, 256, (height, width, len(mode)), dtype=np.uint8)
    return Image.fromarray(values)


def mask(size: tuple[int, int], kind: str) -> Image.Image:
    width, height = size
    values = np.full((height, width), 255 if kind == "full" else 0, np.uint8)
    if kind == "pixel":
        values[height // 2, width // 2] = 255
    elif kind == "hard":
        values[height // 4 : height // 2 + 1, : width // 2 + 1] = 255
    elif kind == "soft":
        values[:, width // 3 :] = np.linspace(0, 255, width - width // 3).astype(np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("name", ["sd", "sdxl-inpaint"])
@pytest.mark.parametrize("size", [(64, 64), (65, 63), (33, 47), (1, 1), (5, 3)], ids=str)
def test_pixels_outside_the_mask_are_bit_identical(
    host: Host, small: Callable[[str], Any], *, name: str, size: tuple[int, int], mode: str, kind: str
) -> None:
    before, where = picture(size, mode), mask(size, kind)
    result = host.run(
        Request(
            task="inpaint",
            model=str(small(name).folder),
            prompt="a fish",
            steps=2,
            seed=1,
            batch=2,
            inputs={"image": before, "mask": where},
        )
    )
    outside = np.asarray(where) == 0
    for artifact in result.artifacts:
        after = artifact.open()
        assert (after.size, after.mode) == (before.size, before.mode)
        assert np.array_equal(np.asarray(after)[outside], np.asarray(before)[outside])
    assert bool(outside.all()) == any("mask is empty" in warning for warning in result.warnings)


@pytest.mark.parametrize("name", ["sd", "sdxl-inpaint"])
def test_a_working_size_leaves_the_picture_its_size_and_its_pixels(
    host: Host, small: Callable[[str], Any], name: str
) -> None:
    before, where = picture((101, 77), "RGBA"), mask((101, 77), "soft")
    result = host.run(
        Request(
            task="inpaint",
            model=str(small(name).folder),
            steps=2,
            seed=1,
            width=64,
            height=48,
            inputs={"image": before, "mask": where},
        )
    )
    after, outside = result.artifacts[0].open(), np.asarray(where) == 0
    assert result.applied["size"] == [64, 48]
    assert (after.size, after.mode) == (before.size, before.mode)
    assert np.array_equal(np.asarray(after)[outside], np.asarray(before)[outside])
    assert not np.array_equal(np.asarray(after)[~outside], np.asarray(before)[~outside])
