"""Print the ratio of Latentry's wall time on OpenVINO to optimum-intel's, for the same work.

    python tests/benchmarks/against_optimum.py --python ~/optimum/bin/python --model emoji --runs 7

optimum-intel wants other versions of transformers and diffusers, so `--python` names the interpreter of an
environment of its own, with the same OpenVINO as ours; docs/benchmarks.md shows how it is made. Both make
pictures of a text, up to the bytes of a PNG file: Euler, guidance on, one seed, everything in float32, on as
many threads. "emoji" is the embedded model, "tiny" and "mid" are Stable Diffusion with random weights, "mid"
at half its width. Each side is a process of its own that waits while the other works: ours draws, then
theirs, after one run each that is not counted. A ratio is ours / theirs of one turn, and the median over the
turns is printed; the aim is 1.0 or less. `pixel` is the largest difference of a channel of a pixel, of 255:
a large one means that the work was not the same.
"""

import argparse
import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from latentry import Host

SIDES = Path(__file__).with_name("optimum_sides.py")
PROMPT, GUIDANCE = "a red apple on a blue background", 5.0
SIZES = {"emoji": 64, "tiny": 64, "mid": 512}
WIDTHS = {"tiny": (32, 64, 64, 64), "mid": (160, 320, 640, 640)}
"""Channels of the UNets with random weights."""

Work = Mapping[str, Any]
Draw = Callable[[str], tuple[float, Any]]
"""`draw(prompt)`: seconds, and the picture's values."""


@contextmanager
def side(name: str, python: str, work: Work) -> Iterator[Draw]:
    """A process that draws."""
    command = [python, "-W", "ignore", str(SIDES), name, json.dumps(work)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout

        def draw(prompt: str) -> tuple[float, Any]:
            print(prompt, file=process.stdin, flush=True)
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise SystemExit(f"{name}: {python} ended without an answer")
            answer = json.loads(line)
            return answer["seconds"], np.frombuffer(base64.b64decode(answer["values"]), np.uint8).astype(int)

        yield draw
        process.stdin.close()


def compared(python: str, work: Work, runs: int) -> str:
    """A line of seconds, ratio and difference."""
    with ExitStack() as ending:
        draws = [
            ending.enter_context(side("ours", sys.executable, work)),
            ending.enter_context(side("theirs", python, work)),
        ]
        firsts = [draw(PROMPT) for draw in draws]
        turns = [[draw(f"{turn} {PROMPT}")[0] for draw in draws] for turn in range(runs)]
    mine, other = (median(seconds) for seconds in zip(*turns, strict=True))
    ratio = median(one / two for one, two in turns)
    pixel = abs(firsts[0][1] - firsts[1][1]).max()
    return f"{work['threads']:7}  {mine:6.3f}  {other:6.3f}  {ratio:6.3f}  {pixel:5}"


def folder_of(model: str, folder: Path) -> Path:
    """A folder with a copy of the embedded model, or with a pipeline of diffusers with random weights."""
    if not folder.is_dir():
        if model == "emoji":
            with Host() as host:
                shutil.copytree(next(each.path for each in host.models() if each.name == "emoji"), folder)
        else:
            pipeline(WIDTHS[model]).save_pretrained(folder)
        for file in folder.rglob("*.safetensors"):
            rewrite(file)
    return folder


def rewrite(file: Path) -> None:
    """Have float32 in it, and a text encoder's names as published: transformers below 5.6 reads no others."""
    from safetensors.torch import load, save_file

    start = "text_model." if file.parent.name == "text_encoder" else ""
    named = {start + name.removeprefix(start): each.float() for name, each in load(file.read_bytes()).items()}
    save_file(named, file, metadata={"format": "pt"})


def pipeline(widths: Sequence[int]) -> Any:
    """Stable Diffusion 1 in layout, with these channels, a shorter text encoder and random weights."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from latentry_stable_diffusion.tokenizers import clip_tokenizer

    torch.manual_seed(0)
    text = CLIPTextConfig(vocab_size=49408, num_hidden_layers=4, bos_token_id=49406, eos_token_id=49407)
    levels = [max(32, width // 5 * 2) for width in widths]
    return StableDiffusionPipeline(
        unet=UNet2DConditionModel(
            sample_size=64, block_out_channels=widths, attention_head_dim=8, norm_num_groups=16,
            cross_attention_dim=text.hidden_size,
        ),
        vae=AutoencoderKL(
            block_out_channels=levels, down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4, norm_num_groups=16, layers_per_block=2,
        ),
        text_encoder=CLIPTextModel(text), tokenizer=clip_tokenizer("<|endoftext|>"),
        scheduler=DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
            set_alpha_to_one=False, clip_sample=False,
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Measure each number of threads, and print."""
    parser = argparse.ArgumentParser(description="Latentry's wall time over optimum-intel's, on OpenVINO.")
    parser.add_argument("--python", required=True, help="the interpreter that has optimum-intel")
    parser.add_argument("--model", choices=SIZES, default="emoji")
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="turns")
    parser.add_argument("--steps", type=int, default=20, metavar="N")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="width and height; else the model's own")
    parser.add_argument("--threads", default="1,2", help="with commas between")
    parser.add_argument("--static", action="store_true", help="both compile for this size alone")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep what is converted; else nowhere")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as passing:
        cache = (asked.cache or Path(passing)) / asked.model
        work = {
            "model": asked.model, "folder": str(folder_of(asked.model, cache / "model")), "cache": str(cache),
            "size": asked.size or SIZES[asked.model], "steps": asked.steps, "guidance": GUIDANCE,
            "static": asked.static,
        }  # fmt: skip
        print(f"threads    ours  theirs   ratio  pixel   ({asked.model}, medians of {asked.runs} turns)")
        for threads in map(int, asked.threads.split(",")):
            print(compared(asked.python, {**work, "threads": threads}, asked.runs), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
