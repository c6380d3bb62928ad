"""Pictures and masks that nobody vouches for (behaviours, section 9, items 1 and 4)."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from tests.bad_input.conftest import Trial

pytestmark = pytest.mark.usefixtures("next_job_succeeds")

Maker = Callable[[], bytes]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, data: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def saved(picture: Image.Image, form: str, **more: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **more)
    return file.getvalue()


def scene(mode: str = "RGB", size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert(mode)


def zeros(count: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(count >> 20)), packer.flush()])


def bomb() -> bytes:
    return png(50_000, 50_000, data=zeros(256 << 20))


def text_bomb() -> bytes:
    texts = [chunk(b"zTXt", b"k%d\0\0" % index + zeros(64 << 20)) for index in range(8)]
    return png(64, 64, *texts, data=zlib.compress(bytes(64 * (64 * 3 + 1))))


def profile_bomb() -> bytes:
    return png(64, 64, chunk(b"iCCP", b"p\0\0" + zeros(512 << 20)), data=zlib.compress(bytes(64 * 193)))


def truncated(form: str) -> Maker:
    return lambda: saved(Image.effect_noise((64, 64), 80).convert("RGB"), form)[:1500]


def animated(form: str) -> Maker:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    return lambda: saved(frames[0], form, save_all=True, append_images=frames[1:])


def many_pages() -> bytes:
    """A TIFF of 100,000 pages of one pixel, which share their pixel."""
    entries = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1)]
    page = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, v) for tag, v in entries
    )
    size, first = len(page) + 4, 10
    nexts = [*(first + size * (index + 1) for index in range(99_999)), 0]
    return (
        struct.pack("<2sHI", b"II", 42, first)
        + b"\0\0"
        + b"".join(page + struct.pack("<I", n) for n in nexts)
    )


def looped_pages() -> bytes:
    """A TIFF of two pages, each of which names the other as its next."""
    data = many_pages()
    size = 2 + 9 * 12 + 4
    return data[: 10 + 2 * size - 4] + struct.pack("<I", 10)


REFUSED: Mapping[str, tuple[Maker, str]] = {
    "a decompression bomb": (bomb, "50000"),
    "a bomb in text chunks": (text_bomb, ""),
    "a bomb in a colour profile": (profile_bomb, ""),
    "a truncated PNG": (truncated("PNG"), ""),
    "a truncated JPEG": (truncated("JPEG"), ""),
    "a truncated WebP": (truncated("WEBP"), ""),
    "a PNG of 0 × 0": (lambda: png(0, 0), ""),
    "a PNG of 0 × 64": (lambda: png(0, 64), ""),
    "an animated GIF": (animated("GIF"), "frames"),
    "an animated PNG": (animated("PNG"), "frames"),
    "an animated WebP": (animated("WEBP"), "frames"),
    "a TIFF of many pages": (many_pages, "pages"),
    "a TIFF whose pages go round in a circle": (looped_pages, "pages"),
    "an SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>', "no picture"),
    "a web page": (lambda: b"<!doctype html><script>alert(1)</script>", "no picture"),
    "nothing": (lambda: b"", "no picture"),
    "PostScript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "no picture"),
    "65 MiB": (lambda: bytes(65 << 20), "MiB"),
    "another size than the mask": (lambda: saved(scene(size=(64, 72)), "PNG"), "64 × 72"),
}

ACCEPTED: Mapping[str, Maker] = {
    "16 bits": lambda: saved(scene("I").convert("I;16"), "PNG"),
    "CMYK": lambda: saved(scene("CMYK"), "JPEG"),
    "a palette with alpha": lambda: saved(scene("P"), "PNG", transparency=bytes(range(256))),
    "a palette with one transparent colour": lambda: saved(scene("P"), "GIF", transparency=3),
    "one bit": lambda: saved(scene("1"), "PNG"),
    "grey with alpha": lambda: saved(scene("LA"), "PNG"),
    "a still TIFF": lambda: saved(scene(), "TIFF"),
    "a bitmap": lambda: saved(scene(), "BMP"),
}

MASKS: Mapping[str, Maker] = {
    "empty": lambda: saved(Image.new("L", (64, 64)), "PNG"),
    "full": lambda: saved(Image.new("L", (64, 64), 255), "PNG"),
    "RGB": lambda: saved(Image.new("RGB", (64, 64), "white"), "PNG"),
    "alpha only": lambda: saved(scene("LA"), "PNG"),
    "one pixel": lambda: saved(one_pixel(), "PNG"),
    "soft": lambda: saved(scene("L"), "PNG"),
}


def one_pixel() -> Image.Image:
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).point((63, 63), 255)
    return mask


def written(folder: Path, make: Maker) -> Path:
    path = folder / "input.png"
    path.write_bytes(make())
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_picture_is_refused(trial: "Trial", tmp_path: Path, name: str) -> None:
    make, word = REFUSED[name]
    message = trial.refused(task="inpaint", image=written(tmp_path, make))
    assert "image" in message
    assert word in message


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_mask_is_refused(trial: "Trial", tmp_path: Path, name: str) -> None:
    make, _ = REFUSED[name]
    assert "mask" in trial.refused(task="inpaint", mask=make())


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_unusual_picture_is_inpainted(trial: "Trial", tmp_path: Path, name: str) -> None:
    result = trial.accepted(task="inpaint", image=written(tmp_path, ACCEPTED[name]))
    assert result.artifacts[0].open().size == (64, 64)


@pytest.mark.parametrize("name", MASKS)
def test_an_unusual_mask_is_taken(trial: "Trial", name: str) -> None:
    result = trial.accepted(task="inpaint", mask=MASKS[name]())
    assert result.artifacts[0].open().size == (64, 64)


def test_an_empty_mask_changes_nothing_and_says_so(trial: "Trial") -> None:
    result = trial.accepted(task="inpaint", mask=MASKS["empty"]())
    assert any("empty" in warning for warning in result.warnings)
    with Image.open(trial.inputs["image"]) as image:
        assert result.artifacts[0].open().tobytes() == image.convert("RGB").tobytes()


def test_a_picture_turned_by_its_exif_comes_out_upright(trial: "Trial") -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = saved(scene(size=(64, 72)), "JPEG", exif=exif)
    result = trial.accepted(task="inpaint", image=image, mask=saved(Image.new("L", (72, 64), 255), "PNG"))
    assert result.artifacts[0].open().size == (72, 64)


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (65, 63)])
def test_a_picture_of_an_odd_size_keeps_it(trial: "Trial", size: tuple[int, int]) -> None:
    mask = saved(Image.new("L", size, 255), "PNG")
    result = trial.accepted(task="inpaint", image=saved(scene(size=size), "PNG"), mask=mask)
    assert result.artifacts[0].open().size == size


def test_a_long_thin_picture_is_planned_in_bounds(trial: "Trial") -> None:
    size = (1, 20_000)
    image, mask = (saved(Image.new(mode, size, "white"), "PNG") for mode in ("RGB", "L"))
    try:
        result = trial.accepted(task="inpaint", image=image, mask=mask, guidance=1)
    except Exception as exc:
        assert "20000" in str(exc)  # noqa: PT017  # either answer will do
    else:
        assert result.artifacts[0].open().size == size


@pytest.mark.parametrize(
    "fields", [{"batch": 64}, {"batch": 64, "width": 64}], ids=["as it is", "one side given"]
)
def test_the_budget_of_pixels_holds_for_pictures_too(trial: "Trial", fields: Mapping[str, Any]) -> None:
    size = (1600, 1600) if "width" not in fields else (64, 16_000)
    image, mask = (saved(Image.new(mode, size, "white"), "PNG") for mode in ("RGB", "L"))
    assert "megapixels" in trial.refused(task="inpaint", image=image, mask=mask, **fields)


def test_a_picture_of_another_size_than_asked_is_not_blown_up_beyond_bounds(trial: "Trial") -> None:
    size = (1, 4000)
    image, mask = (saved(Image.new(mode, size, "white"), "PNG") for mode in ("RGB", "L"))
    assert "4000" in trial.refused(task="inpaint", image=image, mask=mask, width=64)


@pytest.mark.parametrize("name", ["image", "mask"])
@pytest.mark.parametrize("given", ["missing.png", "", ".", "a\0b.png", "x" * 4000, "http://localhost/a.png"])
def test_a_path_that_is_no_file_is_refused(trial: "Trial", name: str, given: str) -> None:
    assert name in trial.refused(task="inpaint", **{name: given})


@pytest.mark.parametrize(
    "given",
    [7, 1.5, True, ["a.png"], {"path": "a.png"}, b"", object()],
    ids=lambda value: type(value).__name__,
)
def test_an_input_of_a_wrong_kind_is_refused(trial: "Trial", given: object) -> None:
    assert "image" in trial.refused(task="inpaint", image=given)


def test_an_endless_file_is_refused(trial: "Trial") -> None:
    if not Path("/dev/zero").exists():
        pytest.skip("needs /dev/zero")
    assert "image" in trial.refused(task="inpaint", image="/dev/zero")


@pytest.mark.timeout(60)
def test_a_pipe_that_nobody_writes_to_is_refused(trial: "Trial", tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    os.mkfifo(tmp_path / "pipe.png")
    assert "image" in trial.refused(task="inpaint", image=tmp_path / "pipe.png")


def test_inputs_of_another_task_are_refused_by_name(trial: "Trial", tmp_path: Path) -> None:
    assert "unknown input" in trial.refused(inputs={"image": "a.png"})
    message = trial.refused(task="inpaint", image=None)
    assert "needs the input 'image'" in message
