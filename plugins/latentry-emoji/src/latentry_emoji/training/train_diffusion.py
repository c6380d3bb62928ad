"""``python -m latentry_emoji.training.train_diffusion``: train the denoiser, or go on training it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from latentry_emoji.evaluation import benchmark_scenes, score
from latentry_emoji.evaluation.pipelines import draw_captions
from latentry_emoji.training import latents
from latentry_emoji.training.assembly import assemble
from latentry_emoji.training.denoiser import Denoiser
from latentry_emoji.training.diffusion import DiffusionSettings, DiffusionTraining
from latentry_emoji.training.loop import Run, Schedule, train
from latentry_emoji.training.stages import DIFFUSION, LATENTS, trained_vae
from latentry_emoji.training.vae import VaeSettings

SCORED = 60


def main(arguments: list[str] | None = None) -> None:
    """Train up to ``--steps``; the same command resumes after a kill."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)  # cores take parts of a batch instead
    torch.backends.cuda.matmul.allow_tf32 = True
    settings = DiffusionSettings(batch=options.batch, seed=options.seed)
    samples = latents.load(options.folder / LATENTS, options.count)
    vae = trained_vae(options.folder, VaeSettings())
    vae.register_to_config(scaling_factor=samples.scaling_factor)
    schedule = Schedule(options.steps, options.rate)
    score = scoring(vae.to(options.device))
    training = DiffusionTraining(
        settings, schedule, samples, score=score, cores=options.cores, device=options.device
    )
    train(training, Run(options.folder / DIFFUSION, options.steps, score_steps=options.score_steps))


def scoring(vae: AutoencoderKL, count: int = SCORED) -> Callable[[Denoiser], dict[str, float]]:
    """A function that draws some held-out captions with a denoiser and scores the pictures."""
    scenes = benchmark_scenes(count, seed=1)

    def scores(denoiser: Denoiser) -> dict[str, float]:
        pictures = draw_captions(assemble(vae, denoiser), [scene.caption for scene in scenes])
        for module in denoiser.modules:
            module.train()
        return score(pictures, scenes).as_dict()

    return scores


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latentry_emoji.training.train_diffusion", description=main.__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="the folder given to train_vae and precompute"
    )
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--count", type=int, default=latents.COUNT, help="scenes to learn from")
    parser.add_argument("--batch", type=int, default=32, help="scenes a step")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--score-steps", type=int, default=1000, help="steps between two evaluations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=1, help="cores that learn at the same time")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda, where a step is one graph in TF32")
    return parser


if __name__ == "__main__":
    main()
