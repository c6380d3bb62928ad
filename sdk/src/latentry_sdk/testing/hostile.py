"""Pictures that nobody vouches for, for tests of whatever reads pictures from outside.

Each is made by a call, since some are large: a table maps what is wrong with it to its maker.
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

Maker = Callable[[], bytes]
"""Makes a file's bytes."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, data: bytes = b"") -> bytes:
    """A PNG of 8-bit RGB with this header, whatever its packed `data`."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def saved(picture: "Image", form: str, **more: object) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    picture.save(file, form, **more)
    return file.getvalue()


def scene(mode: str = "RGB", size: tuple[int, int] = (64, 64)) -> "Image":
    """A gradient."""
    from PIL import Image

    return Image.linear_gradient("L").resize(size).convert(mode)


def plain(mode: str, colour: str | int) -> "Image":
    """One colour, 64 × 64 pixels."""
    from PIL import Image

    return Image.new(mode, (64, 64), colour)


def noise() -> "Image":
    """Pixels that do not pack well."""
    from PIL import Image

    return Image.effect_noise((64, 64), 80).convert("RGB")


def zeros(count: int) -> bytes:
    """So many zeros, packed."""
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(count >> 20)), packer.flush()])


def bomb() -> bytes:
    """A PNG that says it has 2.5 thousand megapixels."""
    return png(50_000, 50_000, data=zeros(256 << 20))


def text_bomb() -> bytes:
    """A PNG whose texts are 512 MiB when unpacked."""
    texts = [chunk(b"zTXt", b"k%d\0\0" % index + zeros(64 << 20)) for index in range(8)]
    return png(64, 64, *texts, data=zlib.compress(bytes(64 * (64 * 3 + 1))))


def profile_bomb() -> bytes:
    """A PNG whose colour profile is 512 MiB when unpacked."""
    return png(64, 64, chunk(b"iCCP", b"p\0\0" + zeros(512 << 20)), data=zlib.compress(bytes(64 * 193)))


def truncated(form: str) -> Maker:
    """Makes the first 1,500 bytes of a file."""
    return lambda: saved(noise(), form)[:1500]


def animated(form: str) -> Maker:
    """Makes a file of three pictures."""

    def make() -> bytes:
        first, *others = (plain("RGB", colour) for colour in ("red", "green", "blue"))
        return saved(first, form, save_all=True, append_images=others)

    return make


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


PICTURES: Mapping[str, tuple[Maker, str]] = {
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
}
"""What must be refused, with a word that the refusal should hold."""

UNUSUAL: Mapping[str, Maker] = {
    "16 bits": lambda: saved(scene("I").convert("I;16"), "PNG"),
    "CMYK": lambda: saved(scene("CMYK"), "JPEG"),
    "a palette with alpha": lambda: saved(scene("P"), "PNG", transparency=bytes(range(256))),
    "a palette with one transparent colour": lambda: saved(scene("P"), "GIF", transparency=3),
    "one bit": lambda: saved(scene("1"), "PNG"),
    "grey with alpha": lambda: saved(scene("LA"), "PNG"),
    "a still TIFF": lambda: saved(scene(), "TIFF"),
    "a bitmap": lambda: saved(scene(), "BMP"),
}
"""Pictures of 64 × 64 pixels that are rare and right."""

MASKS: Mapping[str, Maker] = {
    "empty": lambda: saved(plain("L", 0), "PNG"),
    "full": lambda: saved(plain("L", 255), "PNG"),
    "RGB": lambda: saved(plain("RGB", "white"), "PNG"),
    "alpha only": lambda: saved(scene("LA"), "PNG"),
    "one pixel": lambda: saved(one_pixel(), "PNG"),
    "soft": lambda: saved(scene("L"), "PNG"),
}
"""Masks of 64 × 64 pixels that are rare and right."""


def one_pixel() -> "Image":
    """A mask of one pixel, in a corner."""
    mask = plain("L", 0)
    mask.putpixel((63, 63), 255)
    return mask


NAMES: tuple[str, ...] = (
    "../",
    "../../../../etc/passwd",
    "emoji/../../../../etc/passwd",
    "/nowhere/at/all",
    "C:\\models\\a.safetensors",
    "\\\\server\\share\\a.safetensors",
    "a\0b",
    "emoji\n",
    "\x1b[31memoji",
    "%2e%2e%2fetc",
    "\u0435moji",  # a Cyrillic letter
    "emoji\u200b",
    "\u202eijome",
    "EMOJI",
    " ",
    "~nobody/x",
    "\ud800",
    "x" * 4000,
    "x" * 5000,
)
"""Names of models, samplers and the like that lead elsewhere, or nowhere."""

TEXTS: Mapping[str, str] = {
    "nothing": "",
    "nested brackets": "(" * 49_999 + "x" + ")" * 49_999,
    "nested square brackets": "[" * 99_999,
    "alternations": "{a|b|" * 15_000,
    "weights": "(x:1.1)" * 14_000,
    "one long word": "x" * 100_000,
    "combining marks": "e" + "\u0301" * 90_000,
    "line ends": "a red\r\napple\rhere\n\nNegative prompt: none\nSteps: 99, Seed: 5",
    "controls": "a\0b\x07c\x1b[31md\x7f\x85\u2028\u202e",
    "emoji": "🍎" * 1000,
    "right to left": "تفاحة حمراء",
    "markup": "<script>alert(1)</script>\"'`$(touch x);%n%s{0}",
}
"""Prompts that are strange and right."""
