"""Print how long the embedded model takes for a picture of 20 steps: medians in seconds.

    python tests/benchmarks/embedded_model.py --runs 5

"command" is the whole command `latentry txt2img` in a fresh process, interpreter, imports and model
included. "first job" and "next job" are two jobs of one host, the first of which loads the model; they are
measured in a process that has imported torch. Aims on two cores: 6 s for the command, 3 s for the next job.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

from latentry import Host, Request

PROMPT = "a red apple on a blue background"
STEPS = 20


def command(folder: Path) -> float:
    """Seconds of one `latentry txt2img`, from outside."""
    arguments = (
        "txt2img",
        PROMPT,
        "--steps",
        str(STEPS),
        "--seed",
        "7",
        "--force",
        "-o",
        str(folder / "a.png"),
    )
    began = perf_counter()
    subprocess.run([sys.executable, "-m", "latentry", *arguments], check=True, capture_output=True)
    return perf_counter() - began


def jobs() -> tuple[float, float]:
    """Seconds of the first job of a host, and of its second."""
    request = Request(task="txt2img", prompt=PROMPT, steps=STEPS, seed=7)
    seconds = []
    with Host() as host:
        for _ in range(2):
            began = perf_counter()
            host.run(request)
            seconds.append(perf_counter() - began)
    return seconds[0], seconds[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="Print the seconds a picture of the embedded model takes.")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    runs = parser.parse_args(arguments).runs
    with tempfile.TemporaryDirectory() as folder:
        commands = [command(Path(folder)) for _ in range(runs)]
    firsts, nexts = zip(*(jobs() for _ in range(runs)), strict=True)
    print(f"{'':10}  median    best   (seconds, {runs} runs, {torch.get_num_threads()} threads)")
    for name, seconds in (("command", commands), ("first job", firsts), ("next job", nexts)):
        print(f"{name:10}  {median(seconds):6.2f}  {min(seconds):6.2f}")


if __name__ == "__main__":
    main()
