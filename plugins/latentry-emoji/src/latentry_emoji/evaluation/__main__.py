"""``python -m latentry_emoji.evaluation``: score what a host draws and print the numbers as JSON."""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from latentry_emoji.evaluation.scoring import score, score_inpainting
from latentry_emoji.evaluation.tasks import PHOTO_SHARE, benchmark_scenes, inpainting_tasks


def main(arguments: list[str] | None = None) -> None:
    """Draw held-out captions and fill masks, by any device, quantizer and sampler, and score the pictures."""
    options = _parser().parse_args(arguments)

    import torch

    torch.set_num_threads(options.threads)
    names = tuple(options.names.split(",")) if options.names else None
    photo_share = PHOTO_SHARE if find_spec("skimage") else 0.0
    scenes = benchmark_scenes(options.count, names=names, pair_share=options.pairs, seed=options.seed)
    tasks = inpainting_tasks(options.masks, names=names, photo_share=photo_share, seed=options.seed)
    drawn, painted = (_by_diffusers if options.diffusers else _by_host)(options, scenes, tasks)
    scores: dict[str, Any] = {"drawing": score(drawn, scenes).as_dict()} if scenes else {}
    if tasks:
        scores["inpainting"] = score_inpainting(painted, tasks)
    click.echo(json.dumps(scores))


def _by_host(options: argparse.Namespace, scenes: Any, tasks: Any) -> tuple[Any, Any]:
    from latentry_emoji.evaluation.hosting import draw_captions, paint_tasks
    from latentry_sdk import Host, Request

    chosen = {name: getattr(options, name) for name in ("sampler", "scheduler", "dtype")}
    asked = Request(
        task="txt2img",
        model=options.model,
        steps=options.steps,
        guidance=options.guidance,
        seed=options.seed,
        place=dict(options.place),
        quantize=dict(options.quantize),
        **chosen,
    )
    with Host() as host:
        drawn = draw_captions(host, asked, [scene.caption for scene in scenes])
        return drawn, paint_tasks(host, asked, tasks)


def _by_diffusers(options: argparse.Namespace, scenes: Any, tasks: Any) -> tuple[Any, Any]:
    from latentry_emoji.evaluation.pipelines import Drawing, draw_captions, load_pipeline, paint_tasks

    pipeline, drawing = (
        load_pipeline(Path(options.model)),
        Drawing(options.steps, options.guidance, options.seed),
    )
    drawn = draw_captions(pipeline, [scene.caption for scene in scenes], drawing)
    return drawn, paint_tasks(pipeline, tasks, drawing) if tasks else []


def _pair(text: str) -> tuple[str, str]:
    part, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not PART=VALUE")
    return part, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latentry_emoji.evaluation", description=main.__doc__)
    parser.add_argument("model", nargs="?", default="emoji", help="a model's name or a diffusers folder")
    parser.add_argument("--diffusers", action="store_true", help="score the pipeline of diffusers instead")
    parser.add_argument("--sampler")
    parser.add_argument("--scheduler")
    parser.add_argument("--dtype")
    parser.add_argument("--place", type=_pair, action="append", default=[], metavar="PART=DEVICE")
    parser.add_argument(
        "--quantize", type=_pair, action="append", default=[], metavar="PART=QUANTIZER:SCHEME"
    )
    parser.add_argument("--names", help="concepts to ask for, with commas between; all unless given")
    parser.add_argument("--count", type=int, default=300, help="captions")
    parser.add_argument("--pairs", type=float, default=1 / 3, help="the share of captions with two objects")
    parser.add_argument("--masks", type=int, default=60, help="inpainting tasks; half in photos")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
