"""Draw each concept as a transparent picture, from the emoji font or from the sheet in the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from latentry_emoji.training.concepts import Concept, concepts

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
FONT_SIZE = 109
SHEET = Path(__file__).parent.parent / "evaluation" / "emoji.png"
CELL = 64
COLUMNS = 16

Artwork = Mapping[str, Image.Image]


def from_font(font_file: Path = FONT, *, chosen: tuple[Concept, ...] | None = None) -> Artwork:
    """Square RGBA pictures by concept name, about 130 pixels a side, each cropped to what is drawn.

    Raises FileNotFoundError when the font is missing; Debian ships it as fonts-noto-color-emoji.
    """
    if not font_file.is_file():
        raise FileNotFoundError(f"{font_file} is missing; install the package fonts-noto-color-emoji")
    font = ImageFont.truetype(str(font_file), FONT_SIZE)
    return {concept.name: _drawn(concept.character, font) for concept in chosen or concepts()}


def save_sheet(artwork: Artwork, file: Path) -> None:
    """Write all pictures into one PNG of 64-pixel cells, with their names inside the file."""
    rows = -(-len(artwork) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * CELL, rows * CELL))
    for index, picture in enumerate(artwork.values()):
        sheet.paste(picture.resize((CELL, CELL), Image.Resampling.LANCZOS), _corner(index))
    notes = PngImagePlugin.PngInfo()
    notes.add_text("names", json.dumps(list(artwork)))
    notes.add_text("Copyright", "Noto Color Emoji, SIL Open Font License 1.1")
    sheet.save(file, optimize=True, pnginfo=notes)


def from_sheet(file: Path) -> Artwork:
    """The pictures of a file that `save_sheet` wrote, 64 pixels a side."""
    with Image.open(file) as sheet:
        names = json.loads(sheet.info["names"])
        corners = [_corner(index) for index in range(len(names))]
        cells = [sheet.crop((left, top, left + CELL, top + CELL)) for left, top in corners]
    return dict(zip(names, cells, strict=True))


@cache
def shipped() -> Artwork:
    """The pictures shipped with the package: the same on every machine, no font needed."""
    return from_sheet(SHEET)


def _drawn(character: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    canvas = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(canvas).text((12, 8), character, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        raise ValueError(f"the font draws nothing for {character!r}")
    return _square(canvas.crop(box))


def _square(picture: Image.Image) -> Image.Image:
    side = max(picture.size)
    square = Image.new("RGBA", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def _corner(index: int) -> tuple[int, int]:
    return index % COLUMNS * CELL, index // COLUMNS * CELL
