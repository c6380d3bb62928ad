"""PIL images arrive with the pixels, palette and transparency that they had."""

import io
from typing import Any

import pytest
from PIL import Image

from latentry_workers.channel import packed, unpacked
from latentry_workers.inputs import input_values, inputs_of

MODES = (
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "I;16",
)


def picture(mode: str) -> Image.Image:
    """13 × 7 pixels with many values."""
    made = Image.linear_gradient("L").resize((13, 7))
    if mode in ("I", "F", "I;16"):
        return made.convert("I").point(lambda value: value * 200 + 3).convert(mode)
    return (
        Image.frombytes(mode, (13, 7), bytes(range(256)) * 2, "raw")
        if mode in ("LAB", "HSV")
        else converted(made, mode)
    )


def converted(made: Image.Image, mode: str) -> Image.Image:
    if mode in ("La", "RGBa"):
        return made.convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    return made.convert("P").convert("PA") if mode == "PA" else made.convert("RGB").convert(mode)


def sent(image: Image.Image) -> Any:
    """The image as a worker gets it."""
    message = unpacked(packed({"kind": "submit", "inputs": input_values({"image": image})}))
    return inputs_of(message["inputs"])["image"]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_arrives_as_it_is(mode: str) -> None:
    image = picture(mode)
    assert image.mode == mode
    found = sent(image)
    assert (found.mode, found.size) == (image.mode, image.size)
    assert found.tobytes() == image.tobytes()
    assert found.getpalette() == image.getpalette()


def test_a_palette_with_alpha_keeps_it() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 255, 0, 255, 0, 10], "RGBA")
    image.putdata([0, 1])
    assert sent(image).convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize("transparency", [1, b"\x00\x80\xff", (255, 0, 0)])
def test_transparency_keeps_its_kind(transparency: Any) -> None:
    image = picture("RGB" if isinstance(transparency, tuple) else "P")
    image.info["transparency"] = transparency
    found = sent(image)
    assert found.info == {"transparency": transparency}
    assert found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_an_orientation_is_still_there() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture("RGB").save(file, "JPEG", exif=exif)
    image = Image.open(io.BytesIO(file.getvalue()))
    assert sent(image).getexif()[0x0112] == 6


def test_what_else_a_picture_says_of_itself_is_left_out() -> None:
    image = picture("RGB")
    image.info["file"] = object()
    assert sent(image).info == {}
