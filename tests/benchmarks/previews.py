"""Print what a preview at every step takes, as a share of the step.

    python tests/benchmarks/previews.py --runs 3

Two models: the embedded one, at its 64 × 64 pixels, and one with random weights and latents of Stable
Diffusion's shape at 512 × 512. Its UNet is a tenth as wide as the real one and without attention at the
finest level, so that its steps are much shorter. A step runs from one `Stepped` to the next, and a preview
from `Stepped` to `Previewed`. "first" is the stage `preview` of a model's first job, which fits its factors.
The aim is a share under 2 %.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from latentry import Config, Host, Request
from latentry.events import Event, Stepped
from latentry_sdk import Previewed

STEPS, PROMPT = 5, "a red apple on a blue background"
BETAS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
}
WIDTH = 64
"""Of the narrow model's text embeddings."""


@dataclass
class Times:
    """When events came, in seconds."""

    came: list[tuple[type[Event], float]] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Note the event."""
        if isinstance(event, Stepped | Previewed):
            self.came.append((type(event), perf_counter()))

    def steps(self) -> Iterator[float]:
        """How long each step but the last took, its preview included."""
        begins = [at for kind, at in self.came if kind is Stepped]
        return (after - before for before, after in pairwise(begins))

    def previews(self) -> Iterator[float]:
        """How long each preview took."""
        for (_, before), (kind, after) in pairwise(self.came):
            if kind is Previewed:
                yield after - before


def measured(host: Host, model: str, runs: int, **asked: Any) -> Times:
    """The times of all runs of a model after a first, which fits."""
    times = Times()
    for listener in (None, *[times] * runs):
        host.run(_request(model, **asked), on_event=listener)
        times.came.append((Event, perf_counter()))
    return times


def fit_seconds(host: Host, model: str) -> float:
    """What the stage `preview` takes in the first job of a model."""
    return host.run(_request(model)).timings["preview"]


def _request(model: str, **asked: Any) -> Request:
    options = {"preview": {"preview_every": 1}}
    return Request(task="txt2img", model=model, prompt=PROMPT, steps=STEPS, seed=1, options=options, **asked)


def narrow_model(folder: Path) -> str:
    """A pipeline of Stable Diffusion's latents and a small UNet, saved in `folder`."""
    import diffusers
    import torch
    import transformers

    from latentry_stable_diffusion.tokenizers import clip_tokenizer

    torch.manual_seed(0)
    text = transformers.CLIPTextConfig(
        hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_attention_heads=4, num_hidden_layers=2,
        vocab_size=49408, max_position_embeddings=77, bos_token_id=49406, eos_token_id=49407,
    )  # fmt: skip
    diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(
            block_out_channels=(32, 32, 64, 64), layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        ),
        unet=diffusers.UNet2DConditionModel(
            sample_size=64, block_out_channels=(32, 64, 128, 128), cross_attention_dim=WIDTH,
            down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * 2, "DownBlock2D"),
            up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 2, "UpBlock2D"),
        ),
        text_encoder=transformers.CLIPTextModel(text),
        tokenizer=clip_tokenizer("<|endoftext|>"),
        scheduler=diffusers.DDIMScheduler(**BETAS),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return str(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="Print the share of a step that a preview takes.")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    runs = parser.parse_args(arguments).runs
    with tempfile.TemporaryDirectory() as folder:
        models = {"embedded, 64 × 64": "emoji", "narrow, 512 × 512": narrow_model(Path(folder) / "narrow")}
        print(f"{'':18}  first ms  step ms  preview ms  share   (medians, {runs} runs of {STEPS} steps)")
        with Host(config=Config(cache_dir=Path(folder) / "cache")) as host:
            for name, model in models.items():
                first, times = fit_seconds(host, model), measured(host, model, runs)
                step, preview = median(times.steps()), median(times.previews())
                share = f"{preview / step:6.2%}"
                print(f"{name:18}  {first * 1e3:8.1f}  {step * 1e3:7.1f}  {preview * 1e3:10.2f}  {share}")


if __name__ == "__main__":
    main(sys.argv[1:])
