"""Outside the mask nothing changes, whatever the model paints."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from latentry_inpaint.compositing import composite
from latentry_inpaint.options import InpaintOptions
from latentry_inpaint.preparing import CHANGE, FRAME, prepare
from latentry_sdk import IMAGES, INPUTS, JOB, MASK, SIGMAS, SIZE, SOURCE, InvalidInput, State

SIGMAS_DOWN = (14.0, 5.0, 1.5, 0.4, 0.0)
sides = st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 23]) | st.integers(1, 40)


def job_for(
    width: int | None = None, height: int | None = None, native: tuple[int, int] = (64, 64), **options: Any
) -> Any:
    request = SimpleNamespace(width=width, height=height, batch=1)
    config = SimpleNamespace(max_megapixels=64)
    size = (width or native[0], height or native[1])
    plan = SimpleNamespace(request=request, detected=SimpleNamespace(multiple=8), config=config, size=size)
    said: list[str] = []
    return SimpleNamespace(
        plan=plan,
        warnings=said,
        warn=said.append,
        apply=lambda name, value: None,
        options=lambda kind: InpaintOptions(**options),
    )


def prepared(image: Image.Image, mask: Image.Image, **asked: Any) -> State:
    state = State().put(JOB, job_for(**asked)).put(SIGMAS, SIGMAS_DOWN)
    return prepare(state.put(INPUTS, {"image": image, "mask": mask}))


def painted(state: State, batch: int = 2, seed: int = 0) -> State:
    """What a model that paints every pixel anew would give."""
    width, height = state[SIZE]
    noise = np.random.default_rng(seed).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    return state.put(IMAGES, tuple(map(Image.fromarray, noise)))


@st.composite
def pictures_and_masks(draw: st.DrawFn) -> tuple[Image.Image, Image.Image]:
    width, height, channels = draw(sides), draw(sides), draw(st.sampled_from([3, 4]))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (height, width, channels))
    kind = draw(st.sampled_from(["empty", "full", "pixel", "hard", "soft"]))
    mask = np.zeros((height, width), np.uint8)
    if kind == "full":
        mask[:] = 255
    elif kind == "pixel":
        mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = 255
    elif kind != "empty":
        levels = st.sampled_from([0, 255]) if kind == "hard" else st.integers(0, 255)
        mask = draw(arrays(np.uint8, (height, width), elements=levels, fill=st.just(0)))
    return Image.fromarray(values.astype(np.uint8)), Image.fromarray(mask)


asked_sizes = st.sampled_from([{}, {"width": 16, "height": 24}, {"width": 16}, {"height": 8}])
asked_frames = asked_sizes | st.fixed_dictionaries(
    {"full_res": st.just(True)},
    optional={
        "padding": st.sampled_from([0, 1, 5, 10_000]),
        "width": st.just(24),
        "height": st.just(16),
        "mask_blur": st.integers(0, 3),
        "differential": st.booleans(),
    },
)


@settings(deadline=None)
@given(pictures_and_masks(), asked_frames, st.integers(1, 3))
@example((Image.new("RGBA", (1, 1), (9, 8, 7, 0)), Image.new("L", (1, 1), 0)), {}, 1)
@example((Image.new("RGB", (9, 9)), Image.new("L", (9, 9), 0)), {"full_res": True}, 1)
def test_pixels_outside_the_mask_are_bit_identical(
    pair: tuple[Image.Image, Image.Image], asked: dict[str, Any], batch: int
) -> None:
    original, mask = pair
    state = painted(prepared(original, mask, **asked), batch)
    before, outside = np.asarray(original), np.asarray(state[CHANGE]) == 0
    results = composite(state)[IMAGES]
    assert len(results) == batch
    for result in results:
        assert (result.size, result.mode) == (original.size, original.mode)
        assert np.array_equal(np.asarray(result)[outside], before[outside])
        if original.mode == "RGBA":
            assert np.array_equal(np.asarray(result)[..., 3], before[..., 3])


@settings(deadline=None)
@given(pictures_and_masks())
def test_pixels_inside_the_mask_are_a_linear_blend(pair: tuple[Image.Image, Image.Image]) -> None:
    original, mask = pair
    state = painted(prepared(original, mask))
    made = np.asarray(state[IMAGES][0].crop((0, 0, *original.size)), dtype=float)
    weight = np.asarray(mask, dtype=float)[..., None] / 255
    wanted = weight * made + (1 - weight) * np.asarray(original.convert("RGB"), dtype=float)
    result = np.asarray(composite(state)[IMAGES][0].convert("RGB"), dtype=float)
    assert np.abs(result - wanted).max() <= 1
    full = np.asarray(mask) == 255
    assert np.array_equal(result[full], made[full])


@given(pictures_and_masks(), asked_frames)
@settings(deadline=None)
def test_the_model_gets_pictures_of_a_size_it_takes(
    pair: tuple[Image.Image, Image.Image], asked: dict[str, Any]
) -> None:
    original, mask = pair
    state = prepared(original, mask, **asked)
    assert state[SOURCE].mode == "RGB"
    assert state[MASK].mode == "L"
    assert state[SOURCE].size == state[MASK].size == state[SIZE]
    assert all(side % 8 == 0 for side in state[SIZE])
    width, height = state[SIZE]
    assert (asked.get("width", width), asked.get("height", height)) == (width, height)


@settings(deadline=None)
@given(pictures_and_masks())
def test_padding_repeats_the_edge_and_does_not_change(pair: tuple[Image.Image, Image.Image]) -> None:
    original, mask = pair
    state = prepared(original, mask)
    (width, height), (wide, high) = state[FRAME].content, state[SIZE]
    space = ((0, high - height), (0, wide - width))
    edge = np.pad(np.asarray(original.convert("RGB")), (*space, (0, 0)), mode="edge")
    assert np.array_equal(np.asarray(state[SOURCE]), edge)
    assert np.array_equal(np.asarray(state[MASK]), np.pad(np.asarray(mask), space))


def test_a_hard_mask_stays_hard_and_a_soft_one_soft_when_resized() -> None:
    image = Image.new("RGB", (33, 33))
    hard = Image.new("L", image.size)
    hard.paste(255, (5, 5, 20, 20))
    soft = Image.linear_gradient("L").resize(image.size)
    assert set(np.unique(np.asarray(prepared(image, hard, width=16, height=16)[MASK]))) == {0, 255}
    assert len(np.unique(np.asarray(prepared(image, soft, width=16, height=16)[MASK]))) > 2


def test_one_side_asked_keeps_the_aspect() -> None:
    image, mask = Image.new("RGB", (100, 50)), Image.new("L", (100, 50))
    assert prepared(image, mask, width=64)[SIZE] == (64, 32)
    assert prepared(image, mask, height=64)[SIZE] == (128, 64)


def test_one_side_asked_of_a_very_long_picture_is_refused() -> None:
    with pytest.raises(InvalidInput, match="give both width and height"):
        prepared(Image.new("RGB", (1, 20000)), Image.new("L", (1, 20000)), width=64)


def test_image_and_mask_of_different_sizes_are_refused_by_both_sizes() -> None:
    with pytest.raises(InvalidInput, match="the image is 8 × 9 pixels, the mask 9 × 8"):
        prepared(Image.new("RGB", (8, 9)), Image.new("L", (9, 8)))


def test_an_empty_mask_is_told_of_and_gives_the_input() -> None:
    original = Image.effect_noise((9, 9), 50).convert("RGB")
    state = painted(prepared(original, Image.new("L", (9, 9))), batch=1)
    assert "equals the input" in state[JOB].warnings[0]
    assert composite(state)[IMAGES][0].tobytes() == original.tobytes()


def test_a_mask_with_one_grey_pixel_is_not_called_empty() -> None:
    mask = Image.new("L", (9, 9))
    mask.putpixel((4, 4), 1)
    assert not prepared(Image.new("RGB", (9, 9)), mask)[JOB].warnings


@pytest.mark.parametrize(("strength", "left"), [(0.25, 1), (0.5, 2), (0.9999, 3), (1.0, 4)])
def test_the_strength_leaves_the_last_noise_levels(strength: float, left: int) -> None:
    state = prepared(Image.new("RGB", (8, 8)), Image.new("L", (8, 8), 255), strength=strength)
    assert state[SIGMAS] == SIGMAS_DOWN[4 - left :]


@pytest.mark.parametrize("content", ["fill", "latent_noise", "latent_nothing"])
def test_content_at_strength_one_is_told_to_have_no_effect(content: str) -> None:
    image, mask = Image.effect_noise((9, 9), 50).convert("RGB"), Image.new("L", (9, 9), 255)
    assert "strength 1" in prepared(image, mask, content=content)[JOB].warnings[0]
    state = prepared(image, mask, content=content, strength=0.5)
    assert [warning for warning in state[JOB].warnings if "strength" in warning] == []


def test_a_fill_without_surroundings_is_told_of_and_leaves_the_picture() -> None:
    image, mask = Image.effect_noise((8, 8), 50).convert("RGB"), Image.new("L", (8, 8), 255)
    state = prepared(image, mask, content="fill", strength=0.5)
    assert "no surroundings" in state[JOB].warnings[0]
    assert state[SOURCE].tobytes() == image.tobytes()


def test_a_fill_shows_the_model_the_surroundings() -> None:
    image, mask = Image.new("RGB", (32, 32), "red"), Image.new("L", (32, 32))
    for picture, value in ((image, (0, 0, 255)), (mask, 255)):
        picture.paste(value, (8, 8, 24, 24))
    assert prepared(image, mask, strength=0.5)[SOURCE].getpixel((16, 16)) == (0, 0, 255)
    seen = np.asarray(prepared(image, mask, strength=0.5, content="fill")[SOURCE])
    assert np.abs(seen.astype(int) - (255, 0, 0)).max() <= 4


@settings(deadline=None)
@given(pictures_and_masks(), st.tuples(*[st.integers(0, 9)] * 4), st.booleans())
def test_new_canvas_is_painted_opaque_about_the_picture(
    pair: tuple[Image.Image, Image.Image], sides: tuple[int, int, int, int], full_res: bool
) -> None:
    original, mask = pair
    (left, top, right, bottom), (width, height) = sides, original.size
    asked = dict(zip(("left", "top", "right", "bottom"), sides, strict=True))
    state = painted(prepared(original, mask, **asked, full_res=full_res), batch=1)
    space = ((top, bottom), (left, right))
    wanted = np.pad(np.asarray(mask), space, constant_values=255)
    assert np.array_equal(np.asarray(state[CHANGE]), wanted)
    result = np.asarray(composite(state)[IMAGES][0])
    assert result.shape == (top + height + bottom, left + width + right, len(original.mode))
    inner = result[top : top + height, left : left + width]
    outside = np.asarray(mask) == 0
    assert np.array_equal(inner[outside], np.asarray(original)[outside])
    if original.mode == "RGBA":
        alpha = np.pad(np.asarray(original)[..., 3], space, constant_values=255)
        assert np.array_equal(result[..., 3], alpha)


def test_the_model_sees_the_edge_repeated_on_new_canvas() -> None:
    values = np.random.default_rng(4).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    state = prepared(Image.fromarray(values), Image.new("L", (8, 8)), left=8, bottom=16)
    wanted = np.pad(values, ((0, 16), (8, 0), (0, 0)), mode="edge")
    assert np.array_equal(np.asarray(state[SOURCE]), wanted)


def test_differential_hands_over_all_that_is_not_black() -> None:
    """The greys are in the latents; laid over them again they would be half undone."""
    original, mask = Image.new("RGB", (16, 16), "red"), Image.linear_gradient("L").resize((16, 16))
    state = painted(prepared(original, mask, differential=True))
    result = np.asarray(composite(state)[IMAGES][0])
    made, black = np.asarray(state[IMAGES][0]), np.asarray(mask) == 0
    assert np.array_equal(result[~black], made[~black])
    assert np.array_equal(result[black], np.asarray(original)[black])
    greys = np.asarray(state[MASK])
    assert np.array_equal(greys >= 128, ~black)
    assert (np.diff(greys[:, 0].astype(int)) >= 0).all()


def test_without_a_mask_new_canvas_alone_is_painted() -> None:
    state = State().put(JOB, job_for(right=5)).put(SIGMAS, SIGMAS_DOWN)
    state = prepare(state.put(INPUTS, {"image": Image.new("RGB", (8, 8))}))
    assert np.array_equal(np.asarray(state[CHANGE]), [[0] * 8 + [255] * 5] * 8)


def test_new_canvas_of_more_than_the_host_allows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="16392 × 16392"):
        prepared(Image.new("RGB", (8, 8)), Image.new("L", (8, 8)), left=16384, top=16384)
