"""Compare reading SDXL from half-precision files: Stable Diffusion's family, and diffusers' own pipeline.

    python tests/benchmarks/loading.py --turns 3

The model has full size (7 GB of files) and random weights, and is made in a folder of its own first, or
`--tiny`. Each opens it in a new process, in turns, from files that the system has in its cache, and copies
one weight after the other, as a device does: what was opened may only be mapped. Medians are printed of the
seconds of both, without imports, with the bytes of all weights and the process's peak.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from sdxl_sides import made

from latentry import Host
from latentry_bench.peak_memory import peak_memory
from latentry_sdk import read_header

DTYPE = "float16"
Models = Sequence[Any]


def ours(folder: Path) -> Models:
    """The modules of all components, as a host loads them."""
    with Host() as host:
        family, header = host.registry.models["stable-diffusion"], read_header(folder)
        detected = family.detect(header)
        return [component.module for component in family.load(header, detected).values()]


def theirs(folder: Path) -> Models:
    """The models of diffusers' pipeline, read in the files' type."""
    kind = getattr(torch, DTYPE)
    pipeline = StableDiffusionXLPipeline.from_pretrained(folder, dtype=kind, local_files_only=True)
    return [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]


SIDES: dict[str, Callable[[Path], Models]] = {"latentry": ours, "diffusers": theirs}


def read(side: str, folder: Path) -> None:
    """Print the seconds of opening and of copying, the bytes of weights and those of the peak, as JSON."""
    began = perf_counter()
    models = SIDES[side](folder)
    opened = perf_counter() - began
    weights = [weight for model in models for weight in model.parameters()]
    for weight in weights:
        weight.detach().clone()
    copied = perf_counter() - began - opened
    print(json.dumps([opened, copied, sum(weight.nbytes for weight in weights), peak_memory([]).bytes]))


def measured(side: str, folder: Path) -> Sequence[float]:
    """What a new process says of it."""
    command = [sys.executable, __file__, "--read", side, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(folder: Path, turns: int) -> None:
    """Print a row for each side, after a turn that fills the system's cache."""
    found: dict[str, list[Sequence[float]]] = {side: [] for side in SIDES}
    for turn in range(turns + 1):
        for side in SIDES:
            row = measured(side, folder)
            found[side] += [row] if turn else []
    for side, rows in found.items():
        opened, copied, held, most = (median(values) for values in zip(*rows, strict=True))
        seconds = f"opened in {opened:.2f} s, copied in {copied:.2f} s"
        print(f"{side:10} {seconds}, {held / 1e9:.2f} GB of weights, {most / 1e9:.2f} GB at the peak")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the model and compare, or read it once."""
    parser = argparse.ArgumentParser(description="Compare reading SDXL with diffusers' pipeline.")
    parser.add_argument("--turns", type=int, default=3, metavar="N")
    parser.add_argument("--tiny", action="store_true", help="a tiny model, to try this script")
    parser.add_argument("--folder", type=Path, help="where the model is, or is made; else nowhere in the end")
    parser.add_argument("--read", choices=SIDES, help="only read it once, by this side")
    asked = parser.parse_args(arguments)
    if asked.read:
        read(asked.read, asked.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        if not (folder / "model_index.json").exists():
            made(folder, tiny=asked.tiny, device="cpu", dtype=DTYPE)
        compare(folder, asked.turns)


if __name__ == "__main__":
    main()
