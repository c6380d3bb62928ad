"""Pictures that nobody vouches for."""

import io
import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import latentry_images
from latentry_images import ReadOptions
from latentry_images.reading import read_image, read_mask
from latentry_sdk import INPUTS, JOB, InputSpec, InvalidInput, InvalidRequest, Job, State, parsed
from latentry_sdk.opening import MAX_SCANS

LIMIT = 64_000_000
MEBIBYTE = 1 << 20


def encoded(image: Image.Image, form: str = "PNG", **more: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **more)
    return file.getvalue()


def zeros(count: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(bytes(MEBIBYTE)) for _ in range(count // MEBIBYTE)), packer.flush()])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, data: bytes = b"", bits: int = 8) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    texts = [chunk(b"zTXt", b"k%d\0\0" % index + zeros(100 * MEBIBYTE)) for index in range(4)]
    return png(4, 4, *texts, data=zlib.compress(bytes(4 * 13)))


def many_texts() -> bytes:
    """Each text within the decoder's limit, together far above it."""
    texts = [chunk(b"zTXt", b"k%d\0\0" % index + zeros(MEBIBYTE)) for index in range(300)]
    return png(4, 4, *texts, data=zlib.compress(bytes(4 * 13)))


def webp_bomb() -> bytes:
    canvas = bytes([0, 0, 0, 0]) + (16_382).to_bytes(3, "little") * 2
    good = encoded(Image.new("RGB", (4, 4)), "WEBP")[12:]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + good
    return b"RIFF" + struct.pack("<I", len(body)) + body


def scans_bomb() -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    data = encoded(Image.new("RGB", (64, 64), "red"), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * 100_000 + data[-2:]


def tiff(*entries: tuple[int, int], pages: int = 1) -> bytes:
    """A little-endian TIFF of `pages` equal pages with these (tag, value) entries."""
    page = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", t, 4, 1, v) for t, v in entries)
    starts = [8 + (len(page) + 4) * number for number in range(pages)]
    return struct.pack("<2sHI", b"II", 42, 8) + b"".join(
        page + struct.pack("<I", following) for following in [*starts[1:], 0]
    )


PAGE = ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1))
TILED = (
    (256, 8),
    (257, 8),
    (258, 8),
    (259, 8),
    (262, 1),
    (277, 1),
    (322, 65520),
    (323, 65520),
    (324, 8),
    (325, 9),
)


def frames(form: str) -> bytes:
    first, *others = (Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue"))
    return encoded(first, form, save_all=True, append_images=others)


def noise() -> Image.Image:
    return Image.effect_noise((64, 64), 50).convert("RGB")


BAD: Mapping[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a PNG bomb": lambda: png(50_000, 50_000, data=zeros(256 * MEBIBYTE)),
    "a PNG just above the limit": lambda: png(8_001, 8_000, data=zeros(183 * MEBIBYTE)),
    "a WebP bomb": webp_bomb,
    "a BMP bomb": lambda: encoded(Image.new("RGB", (4, 4)), "BMP").replace(
        struct.pack("<ii", 4, 4), struct.pack("<ii", 60_000, 60_000)
    ),
    "a GIF bomb": lambda: (
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + encoded(Image.new("P", (4, 4)), "GIF")[10:]
    ),
    "a text bomb": text_bomb,
    "a bomb of many texts": many_texts,
    "a profile bomb": lambda: png(4, 4, chunk(b"iCCP", b"p\0\0" + zeros(300 * MEBIBYTE)), data=b""),
    "a JPEG of endless scans": scans_bomb,
    "a TIFF of a huge tile": lambda: tiff(*TILED),
    "a TIFF of many pages": lambda: tiff(*PAGE, pages=100_000),
    "a PNG of 0 × 0": lambda: png(0, 0),
    "a PNG of 4 × 0": lambda: png(4, 0),
    "a truncated PNG": lambda: encoded(noise())[:2000],
    "a truncated JPEG": lambda: encoded(noise(), "JPEG")[:1500],
    "a truncated WebP": lambda: encoded(noise(), "WEBP")[:1500],
    "an animated GIF": lambda: frames("GIF"),
    "an animated PNG": lambda: frames("PNG"),
    "an animated WebP": lambda: frames("WEBP"),
    "an SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>',
    "a web page": lambda: b"<!doctype html><script>alert(1)</script>",
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n",
    "a program": lambda: b"\x7fELF" + bytes(100),
    "32-bit floats": lambda: encoded(Image.new("F", (2, 2)), "TIFF"),
    "65 MiB": lambda: bytes(65 * MEBIBYTE),
}

MEASURE = """if True:
    import json, resource, sys, time, warnings
    from latentry_images.reading import read_image
    from latentry_sdk import InvalidInput
    from PIL import Image

    def peak():  # of this program alone; ru_maxrss starts with the parent's
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))

    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    Image.init()
    before = peak()
    found = {}
    for path in sys.argv[1:]:
        start = time.monotonic()
        try:
            said = f"made {read_image(path, 'image', 64_000_000)}"
        except InvalidInput as exc:
            said = str(exc)
        found[path] = [said, time.monotonic() - start]
    print(json.dumps({"peak": peak() - before, "found": found}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures with Linux's units")
def test_every_bad_picture_is_one_line_in_bounded_time_and_memory(tmp_path: Path) -> None:
    for name, make in BAD.items():
        (tmp_path / f"{name}.png").write_bytes(make())
    files = sorted(map(str, tmp_path.iterdir()))
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, *files],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        check=True,
        timeout=120,
    )
    measured = json.loads(ran.stdout)
    for path, (said, seconds) in measured["found"].items():
        assert said.count("\n") == 0, path
        assert "image" in said, path
        assert not said.startswith("made"), path
        assert seconds < 5, path
    assert measured["peak"] < 250  # MiB, of which 65 are the largest file


@pytest.mark.parametrize("kind", ["a PNG bomb", "a GIF bomb", "a WebP bomb", "a BMP bomb"])
def test_a_bomb_is_refused_by_its_size_before_decoding(kind: str) -> None:
    with pytest.raises(InvalidInput, match=r"×|pixels"):
        read_image(BAD[kind](), "image", LIMIT)


@pytest.mark.parametrize(
    "kind", ["an animated GIF", "an animated PNG", "an animated WebP", "a TIFF of many pages"]
)
def test_what_moves_or_has_pages_is_refused_by_that_reason(kind: str) -> None:
    with pytest.raises(InvalidInput, match="several frames or pages; give one still picture"):
        read_image(BAD[kind](), "image", LIMIT)


def test_a_jpeg_of_many_scans_is_refused_by_that_reason() -> None:
    with pytest.raises(InvalidInput, match=f"more than {MAX_SCANS} scans"):
        read_image(scans_bomb(), "image", LIMIT)


@pytest.mark.parametrize(
    "given",
    [Path("/no/such/file"), Path("/"), "", "a\0b", "x" * 4000, "/dev/zero", 7, None, ["a.png"]],
    ids=repr,
)
def test_what_is_no_file_is_one_clear_error(given: object) -> None:
    with pytest.raises(InvalidInput, match=r"^image [^\n]+$"):
        read_image(given, "image", LIMIT)


def test_a_pipe_that_nobody_writes_to_is_refused(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InvalidInput, match="is no file"):
        read_image(tmp_path / "pipe.png", "image", LIMIT)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight_by_scaling(form: str) -> None:
    deep = Image.new("I;16", (4, 1))
    for x, value in enumerate((0, 128, 32896, 65535)):
        deep.putpixel((x, 0), value)
    assert list(read_image(encoded(deep, form), "image", LIMIT).convert("L").tobytes()) == [0, 0, 128, 255]
    assert list(read_mask(encoded(deep, form), "mask", LIMIT).tobytes()) == [0, 0, 128, 255]


def test_sixteen_bits_a_channel_become_eight() -> None:
    row = b"\0" + struct.pack(">6H", 65535, 0, 32896, 0, 65535, 257)
    picture = read_image(png(2, 1, data=zlib.compress(row), bits=16), "image", LIMIT)
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 128), (0, 255, 1)]


@pytest.mark.parametrize(("mode", "expected"), [("CMYK", "RGB"), ("L", "RGB"), ("1", "RGB"), ("LA", "RGBA")])
def test_other_modes_become_rgb_or_rgba(mode: str, expected: str) -> None:
    for form in ("TIFF", "JPEG") if mode == "CMYK" else ("PNG", "TIFF"):
        assert read_image(encoded(Image.new(mode, (3, 2)), form), "image", LIMIT).mode == expected


def test_cmyk_keeps_its_colours() -> None:
    for form in ("TIFF", "JPEG"):
        red = read_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), form), "image", LIMIT)
        assert max(abs(a - b) for a, b in zip(red.getpixel((4, 4)), (255, 0, 0), strict=True)) < 12


def test_a_palette_with_transparency_keeps_it() -> None:
    palette = Image.new("P", (2, 2))
    palette.info["transparency"] = 0
    for form in ("PNG", "GIF"):
        assert read_image(encoded(palette, form), "image", LIMIT).getpixel((0, 0))[3] == 0


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_rotated_photo_comes_upright_and_forgets_its_metadata(form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_image(encoded(Image.new("RGB", (8, 4)), form, exif=exif), "image", LIMIT)
    assert picture.size == (4, 8)
    assert not picture.info


def test_a_phones_photo_with_a_preview_inside_is_one_picture() -> None:
    photo, preview = Image.new("RGB", (16, 8), "red"), Image.new("RGB", (8, 4), "red")
    data = encoded(photo, "MPO", save_all=True, append_images=[preview])
    assert read_image(data, "image", LIMIT).size == (16, 8)


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
def test_extreme_shapes_within_the_limit_are_read(size: tuple[int, int]) -> None:
    assert read_image(encoded(Image.new("RGB", size)), "image", LIMIT).size == size


def test_no_warning_leaks() -> None:
    data = png(9_500, 9_500, data=b"")  # PIL warns above 89 megapixels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidInput, match="cannot be decoded"):
            read_image(data, "image", 100_000_000)


def test_what_is_transparent_in_a_mask_counts_as_black() -> None:
    mask = Image.new("RGBA", (3, 1), (255, 255, 255, 255))
    mask.putpixel((0, 0), (255, 255, 255, 0))
    mask.putpixel((1, 0), (255, 255, 255, 128))
    assert list(read_mask(encoded(mask), "mask", LIMIT).tobytes()) == [0, 128, 255]


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_a_mask_by_its_alpha_and_the_inverse_of_it(form: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    data = encoded(Image.fromarray(pixels), form, **({"lossless": True} if form == "WEBP" else {}))
    assert np.array_equal(np.asarray(read_mask(data, "mask", LIMIT, "alpha")), pixels[..., 3])
    assert np.array_equal(np.asarray(read_mask(data, "mask", LIMIT, "transparent")), 255 - pixels[..., 3])


def test_one_transparent_colour_of_a_palette_is_alpha() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    data = encoded(palette, transparency=0)
    assert list(read_mask(data, "mask", LIMIT, "transparent").tobytes()) == [255, 0]


@pytest.mark.parametrize("channel", ["alpha", "transparent"])
@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P"])
def test_a_mask_without_alpha_is_refused_where_alpha_is_asked_for(mode: str, channel: str) -> None:
    with pytest.raises(InvalidInput, match="the mask has no transparency; save it with an alpha channel"):
        read_mask(encoded(Image.new(mode, (2, 2))), "the mask", LIMIT, channel)


def test_a_pil_image_is_taken_and_left_as_it_was() -> None:
    given = Image.new("LA", (2, 2), (9, 7))
    assert read_image(given, "image", LIMIT).mode == "RGBA"
    assert given.mode == "LA"
    with pytest.raises(InvalidInput, match="more than"):
        read_image(given, "image", 3)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "a.png").write_bytes(encoded(Image.new("RGB", (4, 2))))
    given = {"image": tmp_path / "a.png", "mask": encoded(Image.new("L", (4, 2), 255)), "style": None}
    kinds = {"image": "image", "mask": "mask", "style": "image", "lora": "file"}
    task = SimpleNamespace(inputs=[InputSpec(name, kind) for name, kind in kinds.items()])
    request = SimpleNamespace(inputs=given, batch=1)
    options = lambda kind: ReadOptions()  # noqa: E731
    plan = SimpleNamespace(task=task, request=request, options_of=options, applied=dict)
    return Job("one", plan, lambda event: None)


def test_the_stage_reads_the_pictures_that_were_given_and_reports_their_digests(job: Job) -> None:
    (read, _) = latentry_images.register_stages()
    pictures = read.run(State().put(JOB, job))[INPUTS]
    assert {name: (picture.mode, picture.size) for name, picture in pictures.items()} == {
        "image": ("RGB", (4, 2)),
        "mask": ("L", (4, 2)),
    }
    assert set(job.applied["inputs"]) == {"image", "mask"}
    assert job.applied["inputs"]["image"].startswith("sha256:")


@pytest.mark.parametrize(("channel", "grey"), [("luminance", 0), ("alpha", 64), ("transparent", 191)])
def test_the_stage_reads_the_mask_as_its_option_says(job: Job, channel: str, grey: int) -> None:
    (read, _) = latentry_images.register_stages()
    mask = Image.new("RGBA", (4, 2), (0, 0, 0, 64))
    job.plan.request.inputs["mask"] = mask
    job.plan.options_of = lambda kind: ReadOptions(mask_channel=channel)
    made = read.run(State().put(JOB, job))[INPUTS]["mask"]
    assert made.getextrema() == (grey, grey)


@pytest.mark.parametrize("value", ["", "Alpha", "grey", True, 1, None, float("nan"), ["alpha"], "x" * 10_000])
def test_a_channel_that_there_is_not_is_refused_with_the_legal_ones(value: object) -> None:
    with pytest.raises(InvalidRequest, match="'luminance', 'alpha' or 'transparent'"):
        parsed(ReadOptions, {"mask_channel": value})
