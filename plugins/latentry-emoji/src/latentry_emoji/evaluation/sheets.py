"""``python -m latentry_emoji.evaluation.sheets``: draw a contact sheet and a strip of inpainted pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from latentry_emoji.evaluation.tasks import benchmark_scenes, inpainting_tasks

COLUMNS = 8
GAP = 2


def main(arguments: list[str] | None = None) -> None:
    """Draw 16 held-out captions, and fill 8 masks in unseen photos: rows of photo, mask and result."""
    options = _parser().parse_args(arguments)

    import torch

    from latentry_emoji.evaluation.pipelines import (
        Drawing,
        draw_captions,
        load_pipeline,
        paint_tasks,
        side_of,
    )

    torch.set_num_threads(options.threads)
    pipeline, drawing = load_pipeline(options.model), Drawing(seed=options.seed)
    scenes = benchmark_scenes(2 * COLUMNS, pair_share=0.25, seed=options.seed)
    tasks = inpainting_tasks(COLUMNS, photo_share=1.0, side=side_of(pipeline), seed=options.seed)
    options.to.mkdir(parents=True, exist_ok=True)
    drawn = draw_captions(pipeline, [scene.caption for scene in scenes], drawing)
    tiled(drawn).save(options.to / "contact-sheet.png")
    rows = [*(task.known for task in tasks), *(task.mask for task in tasks)]
    tiled([*rows, *paint_tasks(pipeline, tasks, drawing)]).save(options.to / "inpainting-strip.png")
    captions = [scene.caption for scene in scenes] + [task.caption for task in tasks]
    (options.to / "captions.txt").write_text("\n".join(captions) + "\n")


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
    parser.add_argument("model", type=Path, help="a diffusers folder")
    parser.add_argument("to", type=Path, help="the folder to write into")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
