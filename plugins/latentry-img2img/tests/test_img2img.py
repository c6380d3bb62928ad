"""The task img2img: where sampling starts, and how a picture comes to its size."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

import latentry_img2img
from latentry_img2img.fitting import CONTENT, crop, fitted, prepare
from latentry_img2img.options import Img2ImgOptions, check
from latentry_img2img.starting import start
from latentry_sdk import (
    IMAGES,
    INPUTS,
    JOB,
    KNOWN,
    LATENTS,
    NOISE,
    SIGMAS,
    SIZE,
    SOURCE,
    InvalidInput,
    InvalidRequest,
    Request,
    State,
)

SIGMAS_DOWN = (14.0, 5.0, 1.5, 0.4, 0.0)
sides = st.integers(1, 70)


def job_for(options: Img2ImgOptions, *, space: str = "ve", **asked: int | None) -> Any:
    request = SimpleNamespace(width=asked.get("width"), height=asked.get("height"), batch=1)
    detected = SimpleNamespace(multiple=8, model_range=SimpleNamespace(space=space))
    plan = SimpleNamespace(
        request=request, detected=detected, config=SimpleNamespace(max_megapixels=asked.get("limit") or 64)
    )
    said: list[str] = []
    return SimpleNamespace(
        plan=plan,
        warnings=said,
        warn=said.append,
        apply=lambda name, value: None,
        options=lambda kind: options,
    )


def prepared(image: Image.Image, mode: Any = "fixed", **asked: int | None) -> State:
    job = job_for(Img2ImgOptions(resize_mode=mode), **asked)
    return prepare(State().put(JOB, job).put(SIGMAS, SIGMAS_DOWN).put(INPUTS, {"image": image}))


def started(strength: float, space: str = "ve") -> State:
    noise: Any = SimpleNamespace(initial=lambda: 2.0)
    state = State().put(JOB, job_for(Img2ImgOptions(strength=strength), space=space))
    state = prepare(state.put(SIGMAS, SIGMAS_DOWN).put(INPUTS, {"image": Image.new("RGB", (8, 8))}))
    return start(state.put(NOISE, noise).put(KNOWN, 0.5))


@pytest.mark.parametrize(("strength", "left"), [(0.25, 1), (0.3, 1), (0.5, 2), (0.9999, 3), (1.0, 4)])
def test_sampling_starts_from_the_picture_under_noise(strength: float, left: int) -> None:
    state = started(strength)
    assert state[SIGMAS] == SIGMAS_DOWN[4 - left :]
    assert state[LATENTS] == 0.5 + 2.0 * SIGMAS_DOWN[4 - left]


def test_a_flow_model_starts_on_the_line_between_picture_and_noise() -> None:
    assert started(0.5, "flow")[LATENTS] == -0.5 * 0.5 + 1.5 * 2


@given(sides, sides)
@settings(deadline=None)
def test_a_picture_without_a_size_is_padded_and_cut_back(width: int, height: int) -> None:
    values = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    state = prepared(Image.fromarray(values))
    assert all(side % 8 == 0 for side in state[SIZE])
    assert state[SOURCE].size == state[SIZE]
    (back,) = crop(state.put(IMAGES, (state[SOURCE],)))[IMAGES]
    assert np.array_equal(np.asarray(back), values)


@given(sides, sides, sides, sides, st.sampled_from(["fixed", "crop", "fill"]))
@settings(deadline=None)
def test_every_mode_gives_the_size_asked_for(
    width: int, height: int, wide: int, high: int, mode: Any
) -> None:
    assert fitted(Image.new("RGB", (width, height)), (wide, high), mode).size == (wide, high)


def test_a_crop_equals_diffusers_where_its_rounding_is_exact() -> None:
    from diffusers.image_processor import VaeImageProcessor

    values = np.random.default_rng(2).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    picture = Image.fromarray(values)
    wanted = VaeImageProcessor().resize(picture, 48, 48, resize_mode="crop")
    made = np.asarray(fitted(picture, (48, 48), "crop"), int)
    assert np.abs(made - np.asarray(wanted, int)).max() <= 1


@pytest.mark.parametrize("size", [(64, 32), (32, 64)])
def test_a_fill_keeps_the_picture_in_the_middle_and_repeats_its_edge(size: tuple[int, int]) -> None:
    values = np.random.default_rng(3).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    before = ((size[1] - 32) // 2,) * 2, ((size[0] - 32) // 2,) * 2
    made = fitted(Image.fromarray(values), size, "fill")
    assert np.array_equal(np.asarray(made), np.pad(values, (*before, (0, 0)), mode="edge"))


def test_stretching_makes_the_whole_picture_fit() -> None:
    picture = Image.new("RGB", (30, 10), "red")
    picture.paste("blue", (15, 0, 30, 10))
    made = fitted(picture, (16, 16), "fixed")
    assert (made.getpixel((0, 8)), made.getpixel((15, 8))) == ((255, 0, 0), (0, 0, 255))


def test_one_side_asked_for_keeps_the_aspect() -> None:
    assert prepared(Image.new("RGB", (100, 50)), width=64)[CONTENT] == (64, 32)
    assert prepared(Image.new("RGB", (100, 50)), height=64)[CONTENT] == (128, 64)


@pytest.mark.parametrize("mode", ["fixed", "crop", "fill"])
@pytest.mark.parametrize("size", [(1, 20000), (20000, 1), (1, 1)])
def test_a_long_thin_picture_takes_every_mode(size: tuple[int, int], mode: Any) -> None:
    assert prepared(Image.new("RGB", size), mode, width=64, height=64)[SIZE] == (64, 64)


def test_more_pixels_than_the_host_allows_are_refused() -> None:
    with pytest.raises(InvalidInput, match="megapixels"):
        prepared(Image.new("RGB", (1200, 1000)), limit=1)


def test_what_is_transparent_is_laid_over_white_and_told_of() -> None:
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    state = prepared(picture)
    assert state[SOURCE].getpixel((3, 3)) == (255, 255, 255)
    assert "white" in state[JOB].warnings[0]
    picture.putalpha(255)
    assert not prepared(picture)[JOB].warnings


@pytest.mark.parametrize("strength", [0, -1, 1.0001, float("nan"), float("inf"), True, "much"])
def test_a_strength_out_of_range_is_refused(strength: Any) -> None:
    with pytest.raises(ValidationError):
        Img2ImgOptions(strength=strength)


def test_a_strength_that_leaves_no_step_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="leaves no step"):
        check(Request(task="img2img", steps=2), Img2ImgOptions(strength=0.4))


def test_the_task_needs_an_image_and_uses_all_its_stages() -> None:
    (task,) = latentry_img2img.register_tasks()
    assert [(spec.name, spec.kind, spec.required) for spec in task.inputs] == [("image", "image", True)]
    assert {stage.name for stage in latentry_img2img.register_stages()} <= set(task.stages)
