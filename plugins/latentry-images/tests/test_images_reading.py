"""Pictures that nobody vouches for."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from latentry_images.reading import read_image, read_mask
from latentry_sdk import InvalidInput

LIMIT = 4_000_000


def encoded(image: Image.Image, form: str = "PNG", **more: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **more)
    return file.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    good = encoded(Image.new("RGB", (4, 4)))
    data = b"Comment\x00\x00" + zlib.compress(b"x" * (100 << 20))
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    return good[:33] + chunk + good[33:]


BAD = {
    "empty": b"",
    "bomb": png_of_size(60_000, 60_000),
    "zero": png_of_size(0, 0),
    "truncated": encoded(Image.effect_noise((64, 64), 50))[:200],
    "text bomb": text_bomb(),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "html": b"<html><script>1</script></html>",
    "animated": encoded(
        Image.new("RGB", (4, 4)), "GIF", save_all=True, append_images=[Image.new("RGB", (4, 4), "red")]
    ),
    "pages": encoded(
        Image.new("RGB", (4, 4)), "TIFF", save_all=True, append_images=[Image.new("RGB", (4, 4), "red")]
    ),
}


@pytest.mark.parametrize("kind", sorted(BAD))
def test_a_bad_picture_is_one_clear_error(kind: str) -> None:
    with pytest.raises(InvalidInput, match=r"^image [^\n]+$"):
        read_image(BAD[kind], "image", LIMIT)


@pytest.mark.parametrize("given", [Path("/no/such/file"), Path("/"), "a\0b", 7])
def test_what_is_no_file_is_one_clear_error(given: object) -> None:
    with pytest.raises(InvalidInput, match=r"^image [^\n]+$"):
        read_image(given, "image", LIMIT)


def test_sixteen_bits_become_eight() -> None:
    deep = Image.new("I;16", (2, 1))
    deep.putpixel((1, 0), 65535)
    assert list(read_image(encoded(deep), "image", LIMIT).convert("L").tobytes()) == [0, 255]


@pytest.mark.parametrize(("mode", "expected"), [("CMYK", "RGB"), ("L", "RGB"), ("1", "RGB"), ("LA", "RGBA")])
def test_other_modes_become_rgb_or_rgba(mode: str, expected: str) -> None:
    form = "TIFF" if mode == "CMYK" else "PNG"
    assert read_image(encoded(Image.new(mode, (3, 2)), form), "image", LIMIT).mode == expected


def test_a_palette_with_transparency_keeps_it() -> None:
    palette = Image.new("P", (2, 2))
    palette.info["transparency"] = 0
    assert read_image(encoded(palette), "image", LIMIT).getpixel((0, 0))[3] == 0


def test_a_rotated_photo_comes_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif), "image", LIMIT).size == (4, 8)


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
def test_extreme_shapes_within_the_limit_are_read(size: tuple[int, int]) -> None:
    assert read_image(encoded(Image.new("RGB", size)), "image", LIMIT).size == size


def test_what_is_transparent_in_a_mask_is_kept_as_it_is() -> None:
    mask = Image.new("RGBA", (2, 1), (255, 255, 255, 255))
    mask.putpixel((0, 0), (255, 255, 255, 0))
    assert list(read_mask(encoded(mask), "mask", LIMIT).tobytes()) == [0, 255]
