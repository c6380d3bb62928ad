"""``python -m latentry_emoji.evaluation``: score a model folder and print the numbers as JSON."""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path

import click

from latentry_emoji.evaluation.scoring import score, score_inpainting
from latentry_emoji.evaluation.tasks import PHOTO_SHARE, benchmark_scenes, inpainting_tasks


def main(arguments: list[str] | None = None) -> None:
    """Draw held-out captions and fill masks with a diffusers pipeline, then score the pictures."""
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
    pipeline = load_pipeline(options.model)
    drawing = Drawing(options.steps, options.guidance, options.seed)
    scenes = benchmark_scenes(options.count, seed=options.seed)
    photo_share = PHOTO_SHARE if find_spec("skimage") else 0.0
    tasks = inpainting_tasks(
        options.masks, photo_share=photo_share, side=side_of(pipeline), seed=options.seed
    )
    drawn = draw_captions(pipeline, [scene.caption for scene in scenes], drawing)
    painted = paint_tasks(pipeline, tasks, drawing)
    click.echo(
        json.dumps(
            {"drawing": score(drawn, scenes).as_dict(), "inpainting": score_inpainting(painted, tasks)}
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latentry_emoji.evaluation", description=main.__doc__)
    parser.add_argument("model", type=Path, help="a diffusers folder")
    parser.add_argument("--count", type=int, default=300, help="captions; a third have two objects")
    parser.add_argument("--masks", type=int, default=60, help="inpainting tasks; half in photos")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
