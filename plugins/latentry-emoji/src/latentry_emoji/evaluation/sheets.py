"""``python -m latentry_emoji.evaluation.sheets``: draw a contact sheet and a strip of inpainted pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import click
from PIL import Image

from latentry_emoji.evaluation.tasks import benchmark_scenes, inpainting_tasks

COLUMNS = 8
GAP = 2


def main(arguments: list[str] | None = None) -> None:
    """Draw 16 held-out captions, and fill 8 masks in unseen photos: rows of photo, mask and result."""
    options = _parser().parse_args(arguments)

    from latentry_emoji.evaluation.hosting import draw_captions, paint_tasks
    from latentry_sdk import Host, Request

    names = tuple(options.names.split(",")) if options.names else None
    asked = Request(task="txt2img", model=options.model, guidance=4, seed=options.seed)
    scenes = benchmark_scenes(2 * COLUMNS, names=names, pair_share=options.pairs, seed=options.seed)
    tasks = inpainting_tasks(COLUMNS, names=names, photo_share=1.0, seed=options.seed)
    with Host() as host:
        drawn = draw_captions(host, asked, [scene.caption for scene in scenes])
        painted = paint_tasks(host, asked, tasks)
    options.to.mkdir(parents=True, exist_ok=True)
    tiled(drawn).save(options.to / "contact-sheet.png")
    rows = [*(task.known for task in tasks), *(task.mask for task in tasks), *painted]
    tiled(rows).save(options.to / "inpainting-strip.png")
    for caption in [scene.caption for scene in scenes] + [task.caption for task in tasks]:
        click.echo(caption)


def tiled(pictures: Sequence[Image.Image], scale: int = 2) -> Image.Image:
    """Pictures of one size in rows of eight, from left to right, enlarged by a whole number."""
    side = pictures[0].width * scale
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (side + GAP) - GAP, rows * (side + GAP) - GAP), "white")
    for index, picture in enumerate(pictures):
        large = picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        sheet.paste(large, (index % COLUMNS * (side + GAP), index // COLUMNS * (side + GAP)))
    return sheet


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latentry_emoji.evaluation.sheets", description=main.__doc__)
    parser.add_argument("to", type=Path, help="the folder to write into")
    parser.add_argument("--model", default="emoji", help="a model's name or a diffusers folder")
    parser.add_argument("--names", help="concepts to ask for, with commas between; all unless given")
    parser.add_argument("--pairs", type=float, default=0.25, help="the share of captions with two objects")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
