"""In full resolution the mask's surroundings are worked at, as large as the model takes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from latentry_inpaint.framing import framed
from latentry_inpaint.options import InpaintOptions

sides = st.integers(1, 90)
targets = st.tuples(st.sampled_from([8, 16, 40, 64]), st.sampled_from([8, 24, 64]))


def frame_of(mask: Image.Image, size: tuple[int, int], **options: Any) -> Any:
    request = SimpleNamespace(width=None, height=None, batch=1)
    plan = SimpleNamespace(
        request=request,
        size=size,
        detected=SimpleNamespace(multiple=8),
        config=SimpleNamespace(max_megapixels=64),
    )
    job: Any = SimpleNamespace(plan=plan)
    return framed(job, mask, InpaintOptions(full_res=True, **options))


@st.composite
def masks(draw: st.DrawFn) -> Image.Image:
    mask = Image.new("L", (draw(sides), draw(sides)))
    left, top = draw(st.integers(0, mask.width - 1)), draw(st.integers(0, mask.height - 1))
    right, bottom = draw(st.integers(left + 1, mask.width)), draw(st.integers(top + 1, mask.height))
    mask.paste(draw(st.sampled_from([1, 255])), (left, top, right, bottom))
    return mask


@given(masks(), targets, st.sampled_from([0, 3, 32, 16384]))
@settings(deadline=None)
def test_the_box_holds_the_mask_and_its_padding_within_the_picture(
    mask: Image.Image, size: tuple[int, int], padding: int
) -> None:
    frame = frame_of(mask, size, padding=padding)
    left, top, right, bottom = frame.box
    inside = mask.getbbox()
    assert inside
    assert 0 <= left <= max(inside[0] - padding, 0)
    assert 0 <= top <= max(inside[1] - padding, 0)
    assert mask.width >= right >= min(inside[2] + padding, mask.width)
    assert mask.height >= bottom >= min(inside[3] + padding, mask.height)
    assert frame.size == size
    assert all(1 <= part <= whole for part, whole in zip(frame.content, size, strict=True))
    assert any(part == whole for part, whole in zip(frame.content, size, strict=True))


@given(masks(), targets, st.sampled_from([0, 3, 32]))
@settings(deadline=None)
def test_the_box_is_that_of_diffusers_up_to_its_rounding(
    mask: Image.Image, size: tuple[int, int], padding: int
) -> None:
    from diffusers.image_processor import VaeImageProcessor

    theirs = VaeImageProcessor.get_crop_region(mask, *size, pad=padding)
    assume(theirs[2] > theirs[0] and theirs[3] > theirs[1])
    assert np.abs(np.subtract(frame_of(mask, size, padding=padding).box, theirs)).max() <= 1


def test_an_empty_mask_is_worked_at_as_a_whole() -> None:
    assert frame_of(Image.new("L", (20, 9)), (64, 64)).box == (0, 0, 20, 9)


def test_a_picture_too_narrow_for_the_aspect_is_padded() -> None:
    mask = Image.new("L", (1, 2000))
    mask.paste(255, (0, 900, 1, 1100))
    frame = frame_of(mask, (64, 64), padding=28)
    assert frame.box == (0, 872, 1, 1128)
    assert frame.content == (1, 64)
