"""Print the ratio of the wall time of `hires` to that of diffusers' two pipelines, for the same work.

    python tests/benchmarks/hires.py --runs 5

Both make a picture of 64 × 64, enlarge its latents bilinearly, and sample again at 128 × 128, with a model of
the embedded one's size and random weights: that one is an inpainting model, whose pipelines do other work.
They take turns in one process, after one warm run each; the median of ours / theirs is printed.
"""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from latentry import Host, Request

STEPS, STRENGTH, GUIDANCE, PROMPT = 10, 0.5, 5.0, "a red apple on a blue background"
Run = Callable[[], None]


def text_model(embedded: Path, folder: Path) -> Any:
    """diffusers' pipeline of the embedded model's parts with a new UNet that takes latents alone, saved."""
    import torch
    from diffusers import (
        EulerDiscreteScheduler,
        StableDiffusionXLInpaintPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )

    whole: Any = StableDiffusionXLInpaintPipeline.from_pretrained(
        embedded, torch_dtype=torch.float32, local_files_only=True
    )
    parts = whole.components
    parts["unet"] = UNet2DConditionModel.from_config({**parts["unet"].config, "in_channels": 4}).eval()
    parts["scheduler"] = EulerDiscreteScheduler.from_config(parts["scheduler"].config)
    wanted = StableDiffusionXLPipeline.__init__.__code__.co_varnames
    pipeline = StableDiffusionXLPipeline(**{name: part for name, part in parts.items() if name in wanted})
    pipeline.save_pretrained(folder)
    return pipeline


def ours(host: Host, folder: Path) -> Run:
    """The task."""
    request = Request(
        task="hires", prompt=PROMPT, model=str(folder), seed=1, steps=STEPS, guidance=GUIDANCE, width=64,
        height=64, sampler="euler", options={"hires": {"scale": 2, "strength": STRENGTH}},
        place={"*": "cpu"}, dtype="float32",
    )  # fmt: skip
    return lambda: host.run(request) and None


def theirs(first: Any) -> Run:
    """The two pipelines, which share their parts."""
    import torch
    from diffusers import StableDiffusionXLImg2ImgPipeline

    second: Any = StableDiffusionXLImg2ImgPipeline(**first.components)
    for pipeline in (first, second):
        pipeline.set_progress_bar_config(disable=True)
    asked = {"prompt": PROMPT, "num_inference_steps": STEPS, "guidance_scale": GUIDANCE}

    def run() -> None:
        noise = torch.Generator().manual_seed(1)
        latents = first(**asked, width=64, height=64, generator=noise, output_type="latent").images
        larger = torch.nn.functional.interpolate(latents, scale_factor=2, mode="bilinear")
        second(**asked, image=larger, strength=STRENGTH, generator=noise).images[0].save(io.BytesIO(), "PNG")

    return run


def seconds(run: Run) -> float:
    """Of one run."""
    began = perf_counter()
    run()
    return perf_counter() - began


def main(arguments: Sequence[str]) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="The wall time of hires over diffusers'.")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="turns")
    runs = parser.parse_args(arguments).runs
    with Host() as host, TemporaryDirectory() as folder:
        embedded = next(entry.path for entry in host.models() if entry.name == "emoji")
        sides = theirs(text_model(embedded, Path(folder))), ours(host, Path(folder))
        for run in sides:
            run()
        turns = [(seconds(sides[1]), seconds(sides[0])) for _ in range(runs)]
    a, b = (median(side) for side in zip(*turns, strict=True))
    print(f"hires: ours {a:.3f} s, theirs {b:.3f} s, ratio {median(x / y for x, y in turns):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
