"""The mask that is painted, and the fill from its surroundings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from latentry_inpaint.filling import filled
from latentry_inpaint.masks import blurred, effective
from latentry_inpaint.options import InpaintOptions

masks = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda size: arrays(np.uint8, size, elements=st.sampled_from([0, 0, 0, 60, 127, 128, 255]))
)


def by_definition(mask: np.ndarray, deviation: int) -> np.ndarray:
    """The Gaussian of A1111's kernel, tap by tap along each axis, mirrored without its outermost pixel."""
    reach = (2 * int(2.5 * deviation + 0.5) + 1) // 2
    taps = np.arange(-reach, reach + 1)
    weights = np.exp(-(taps**2) / (2 * deviation**2))
    weights /= weights.sum()
    values = mask.astype(float)
    for axis in (0, 1):
        space = [(reach, reach) if each == axis else (0, 0) for each in (0, 1)]
        wide = np.pad(values, space, mode="reflect")
        values = sum(
            weight * wide.take(range(index, index + values.shape[axis]), axis)
            for index, weight in enumerate(weights)
        )
    return values


@given(masks, st.integers(1, 12))
@settings(deadline=None)
def test_blur_is_the_gaussian_of_a1111s_kernel(mask: np.ndarray, deviation: int) -> None:
    made = np.asarray(blurred(Image.fromarray(mask), deviation), float)
    assert np.abs(made - by_definition(mask, deviation)).max() <= 0.51


@pytest.mark.parametrize("deviation", [1, 4, 64])
def test_blur_reaches_no_further_than_its_kernel(deviation: int) -> None:
    mask = Image.new("L", (500, 20))
    mask.paste(255, (0, 0, 100, 20))
    reach = int(2.5 * deviation + 0.5)
    left, _, right, _ = blurred(mask, deviation).getbbox() or (0, 0, 0, 0)
    assert left == 0
    assert 100 < right <= 100 + reach


@pytest.mark.parametrize("grey", [0, 255])
@pytest.mark.parametrize("deviation", [1, 64])
def test_a_mask_of_one_grey_stays_so_under_blur(grey: int, deviation: int) -> None:
    assert blurred(Image.new("L", (7, 3), grey), deviation).getextrema() == (grey, grey)


@given(masks)
@settings(deadline=None)
def test_binarise_comes_before_invert(mask: np.ndarray) -> None:
    made = effective(Image.fromarray(mask), InpaintOptions(binarise=True, invert=True))
    assert np.array_equal(np.asarray(made), np.where(mask >= 128, 0, 255))


@given(masks)
@settings(deadline=None)
def test_without_options_the_mask_is_painted_as_it_is(mask: np.ndarray) -> None:
    assert np.array_equal(np.asarray(effective(Image.fromarray(mask), InpaintOptions())), mask)


@given(masks, st.integers(0, 99))
@settings(deadline=None)
def test_a_fill_leaves_what_the_mask_leaves(mask: np.ndarray, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    made = np.asarray(filled(Image.fromarray(values), Image.fromarray(mask)))
    assert np.array_equal(made[mask == 0], values[mask == 0])


@given(masks, st.tuples(*[st.integers(0, 255)] * 3))
@settings(deadline=None)
def test_a_fill_from_one_colour_is_that_colour(mask: np.ndarray, colour: tuple[int, int, int]) -> None:
    hard = np.where(mask >= 128, 255, 0).astype(np.uint8)
    hard[0, 0] = 0
    values = np.where(hard[..., None] == 255, 255 - np.array(colour), colour).astype(np.uint8)
    made = np.asarray(filled(Image.fromarray(values), Image.fromarray(hard)), int)
    assert np.abs(made - colour).max() <= 4


def test_a_fill_goes_from_one_side_to_the_other() -> None:
    picture, mask = Image.new("RGB", (64, 16), "black"), Image.new("L", (64, 16))
    picture.paste("white", (56, 0, 64, 16))
    mask.paste(255, (8, 0, 56, 16))
    row = np.asarray(filled(picture, mask).convert("L"), int)[8]
    assert (row[:8] == 0).all()
    assert (row[56:] == 255).all()
    assert row[16] < row[32] < row[48]
