"""``python -m latentry_emoji.training.draw_sheet``: draw the sheet the evaluation compares with."""

from __future__ import annotations

import argparse
from pathlib import Path

from latentry_emoji.training import artwork


def main(arguments: list[str] | None = None) -> None:
    """Draw every concept once; needs the emoji font."""
    parser = argparse.ArgumentParser(prog="latentry_emoji.training.draw_sheet", description=main.__doc__)
    parser.add_argument("--font", type=Path, default=artwork.FONT, help="Noto Color Emoji with bitmaps")
    parser.add_argument("file", type=Path, nargs="?", default=artwork.SHEET)
    options = parser.parse_args(arguments)
    artwork.save_sheet(artwork.from_font(options.font), options.file)


if __name__ == "__main__":
    main()
