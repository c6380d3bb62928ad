"""Whatever is asked of inpainting, pixels that the mask leaves out come back bit for bit."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import maximum_filter

from latentry import Host, Request, Result

Pixels = np.ndarray[Any, np.dtype[Any]]

sides = st.integers(1, 40)
several = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
every_kind_of_model = pytest.mark.parametrize("name", ["sd", "sdxl-inpaint"])

OPTIONS = st.fixed_dictionaries(
    {"strength": st.sampled_from([1.0, 0.5])},
    optional={
        "content": st.sampled_from(["original", "fill", "latent_noise", "latent_nothing"]),
        "binarise": st.booleans(),
        "invert": st.booleans(),
        "mask_blur": st.integers(0, 6),
        "full_res": st.booleans(),
        "differential": st.booleans(),
        "padding": st.sampled_from([0, 3, 32, 16384]),
        **{side: st.integers(0, 12) for side in ("left", "top", "right", "bottom")},
    },
)


def picture(width: int, height: int, channels: int, seed: int = 5) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@st.composite
def masks(draw: st.DrawFn, width: int, height: int) -> Pixels:
    mask = np.zeros((height, width), np.uint8)
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right, bottom = draw(st.integers(left, width)), draw(st.integers(top, height))
    grey = draw(st.sampled_from([1, 127, 128, 255]))
    mask[top:bottom, left:right] = grey
    if draw(st.booleans()):
        mask[top, left] = 255
    return mask


def margins(options: Mapping[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """New canvas before and after the rows and the columns."""
    return (options.get("top", 0), options.get("bottom", 0)), (
        options.get("left", 0),
        options.get("right", 0),
    )


def outside(mask: Pixels, options: Mapping[str, Any]) -> Pixels:
    """Where on the canvas nothing may change: further from what is to change than a blur reaches."""
    if options.get("binarise"):
        mask = np.where(mask >= 128, 255, 0)
    if options.get("invert"):
        mask = 255 - mask
    mask = np.pad(mask, margins(options), constant_values=255)
    reach = int(2.5 * options.get("mask_blur", 0) + 0.5)
    return np.asarray(maximum_filter(mask, 2 * reach + 1, mode="constant") == 0)


def painted(
    host: Host, folder: Any, image: Pixels, mask: Pixels, options: Mapping[str, Any], **asked: Any
) -> Result:
    return host.run(
        Request(
            task="inpaint",
            model=str(folder),
            inputs={"image": Image.fromarray(image), "mask": Image.fromarray(mask)},
            options={"inpaint": options},
            **{"steps": 2, "guidance": 1, "seed": 1, **asked},
        )
    )


@every_kind_of_model
@several
@given(data=st.data())
def test_pixels_outside_the_mask_are_bit_identical_whatever_is_asked(
    host: Host, small: Callable[[str], Any], name: str, data: st.DataObject
) -> None:
    width, height = data.draw(sides), data.draw(sides)
    before = picture(width, height, data.draw(st.sampled_from([3, 4])))
    mask, options = data.draw(masks(width, height)), data.draw(OPTIONS)
    asked = data.draw(st.sampled_from([{}, {"batch": 2}, {"width": 32}, {"width": 24, "height": 40}]))
    result = painted(host, small(name).folder, before, mask, options, **asked)
    kept = outside(mask, options)
    before = np.pad(before, (*margins(options), (0, 0)), constant_values=255)
    assert len(result.artifacts) == asked.get("batch", 1)
    for artifact in result.artifacts:
        after = np.asarray(artifact.open())
        assert after.shape == before.shape
        assert np.array_equal(after[kept], before[kept])
        assert np.array_equal(after[..., 3:], before[..., 3:])


@every_kind_of_model
@pytest.mark.parametrize("content", ["fill", "latent_noise", "latent_nothing"])
def test_the_content_under_the_mask_makes_another_picture(
    host: Host, small: Callable[[str], Any], name: str, content: str
) -> None:
    image, mask = picture(32, 32, 3), np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    folder, results = small(name).folder, []
    for each in ("original", content):
        result = painted(host, folder, image, mask, {"strength": 0.5, "content": each})
        assert result.warnings == ()
        assert result.applied["options"]["inpaint"]["content"] == each
        results.append(result.artifacts[0].open().tobytes())
    assert results[0] != results[1]


@every_kind_of_model
def test_the_crop_paints_the_mask_at_the_models_size(
    host: Host, small: Callable[[str], Any], watcher: Any, name: str
) -> None:
    image, mask = picture(150, 90, 3), np.zeros((90, 150), np.uint8)
    mask[40:50, 100:110] = 255
    result = painted(host, small(name).folder, image, mask, {"full_res": True, "padding": 11})
    assert result.applied["frame"] == [89, 29, 121, 61]
    assert watcher.decoded[0].size == (64, 64)
    after = np.asarray(result.artifacts[0].open())
    assert np.array_equal(after[mask == 0], image[mask == 0])
    assert (after != image)[mask == 255].any(axis=-1).mean() > 0.9


def test_padding_without_a_crop_is_told_to_have_no_effect(host: Host, small: Callable[[str], Any]) -> None:
    image, mask = picture(8, 8, 3), np.full((8, 8), 255, np.uint8)
    warnings = painted(host, small("sd").folder, image, mask, {"padding": 5}).warnings
    assert warnings == ("padding has no effect without full_res",)


@every_kind_of_model
def test_outpainting_equals_inpainting_the_extended_picture(
    host: Host, small: Callable[[str], Any], name: str
) -> None:
    image, folder = picture(40, 32, 3), small(name).folder
    request = Request(
        task="inpaint",
        model=str(folder),
        inputs={"image": Image.fromarray(image)},
        options={"inpaint": {"left": 16, "bottom": 8, "mask_blur": 2, "strength": 0.5}},
        steps=4,
        seed=1,
    )
    outpainted = host.run(request).artifacts[0].open()
    wide = np.pad(image, ((0, 8), (16, 0), (0, 0)), mode="edge")
    mask = np.pad(np.zeros((32, 40), np.uint8), ((0, 8), (16, 0)), constant_values=255)
    options = {"mask_blur": 2, "strength": 0.5}
    inpainted = painted(host, folder, wide, mask, options, steps=4, guidance=5).artifacts[0].open()
    assert outpainted.size == (56, 40)
    assert outpainted.tobytes() == inpainted.tobytes()
