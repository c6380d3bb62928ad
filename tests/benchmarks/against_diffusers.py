"""Print the ratio of Latentry's wall time to the diffusers pipeline's, for the same work.

    python tests/benchmarks/against_diffusers.py --runs 7 --threads 1

Both make a picture, change one and inpaint one with the embedded model's folder in float32: Euler, the same
number of UNet calls, guidance on, the same number of threads, no progress bar, up to the bytes of a PNG file.
Each turn has a prompt of its own, but for "again", where it is the same, so that our embeddings are known.
The aim is 0.97 or less for it, and 1.0 or less for the others. Both take turns, ours then theirs, in one
process, after one warm run each. A ratio is ours / theirs of one turn; the median over the turns is printed.
A busy machine spoils seconds more than ratios.
Peak memory is that of two more processes, each of which does one side's work alone.
"""

import argparse
import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from latentry import Host, Request
from latentry.events import Event, Stepped

if TYPE_CHECKING:
    from PIL.Image import Image

STEPS, GUIDANCE, PROMPT = 20, 5.0, "a red apple on a blue background"
STRENGTHS = {"txt2img": 1.0, "again": 1.0, "img2img": 0.5, "inpaint": 1.0}
"""By what is measured; the share of the steps that run. "again" is txt2img with the same prompt each time."""

Run = Callable[[str, str], int]
"""`run(measure, prompt)` does it once and says how many times the UNet was called."""


TAKEN = {"img2img": ("image",), "inpaint": ("image", "mask")}
"""What a task takes beside the prompt."""


@dataclass(frozen=True)
class Work:
    """What both sides do."""

    size: int
    threads: int

    def picture(self) -> "Image":
        """The picture to be inpainted."""
        from PIL import Image

        return Image.linear_gradient("L").resize((self.size, self.size)).convert("RGB")

    def mask(self, *, full: bool = False) -> "Image":
        """White in its middle, or all over."""
        from PIL import Image, ImageDraw

        mask = Image.new("L", (self.size, self.size), 255 if full else 0)
        quarter = self.size // 4
        ImageDraw.Draw(mask).rectangle((quarter, quarter, 3 * quarter, 3 * quarter), fill=255)
        return mask


def ours(host: Host, work: Work) -> Run:
    """The work by a host."""
    inputs = {"image": work.picture(), "mask": work.mask()}

    def run(measure: str, prompt: str) -> int:
        task, steps = measure.replace("again", "txt2img"), list[int]()

        def count(event: Event) -> None:
            if isinstance(event, Stepped):
                steps.append(event.step)

        request = Request(
            task=task, prompt=prompt, model="emoji", seed=1, steps=STEPS, guidance=GUIDANCE, sampler="euler",
            width=work.size, height=work.size, dtype="float32", place={"*": "cpu"},
            inputs={name: inputs[name] for name in TAKEN.get(task, ())},
            options={
                "cpu": {"threads": work.threads},
                **({task: {"strength": STRENGTHS[measure]}} if task in TAKEN else {}),
            },
        )  # fmt: skip
        host.run(request, on_event=count)
        return len(steps)

    return run


def theirs(folder: Path, work: Work) -> Run:
    """The work by diffusers' own pipeline: of a model that inpaints, a whole picture is a full mask."""
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLInpaintPipeline
    from diffusers.utils import logging

    logging.set_verbosity_error()  # it warns of its own cast of the VAE at every run
    torch.set_num_threads(work.threads)
    pipeline: Any = StableDiffusionXLInpaintPipeline.from_pretrained(
        folder, torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    calls: list[None] = []
    pipeline.unet.register_forward_hook(lambda *_: calls.append(None))

    def run(measure: str, prompt: str) -> int:
        calls.clear()
        made = pipeline(
            prompt, image=work.picture(), mask_image=work.mask(full=measure != "inpaint"),
            strength=STRENGTHS[measure],
            num_inference_steps=STEPS, guidance_scale=GUIDANCE, width=work.size, height=work.size,
            generator=torch.Generator().manual_seed(1),
        )  # fmt: skip
        made.images[0].save(io.BytesIO(), "PNG")
        return len(calls)

    return run


def timed(run: Run, measure: str, turn: int) -> float:
    """Seconds of one run; the UNet must have been called once a step."""
    prompt, steps = PROMPT if measure == "again" else f"{turn} {PROMPT}", int(STEPS * STRENGTHS[measure])
    began = perf_counter()
    calls = run(measure, prompt)
    seconds = perf_counter() - began
    if calls != steps:
        raise SystemExit(f"{measure}: {calls} UNet calls, not {steps}: this is not the same work")
    return seconds


def compare(work: Work, runs: int) -> None:
    """Print a line for each of `STRENGTHS`."""
    with Host() as host:
        sides = ours(host, work), theirs(embedded(host), work)
        print(f"{'':10}   ours  theirs   ratio   (medians of {runs} turns; {work.threads} thread(s))")
        for measure in STRENGTHS:
            for side in sides:
                timed(side, measure, 0)
            turns = [tuple(timed(side, measure, turn) for side in sides) for turn in range(1, runs + 1)]
            a, b = (median(seconds) for seconds in zip(*turns, strict=True))
            ratio = median(one / other for one, other in turns)
            print(f"{measure:10} {a:6.3f}  {b:6.3f}  {ratio:6.3f}", flush=True)


def embedded(host: Host) -> Path:
    """Where the embedded model lies."""
    return next(entry.path for entry in host.models() if entry.name == "emoji")


def alone(side: str, work: Work) -> None:
    """Do one side's work once for each measure, and print the peak of memory: MiB."""
    with Host() as host:
        run = ours(host, work) if side == "ours" else theirs(embedded(host), work)
        for measure in STRENGTHS:
            timed(run, measure, 0)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit)


def peak(side: str, arguments: Sequence[str]) -> int:
    """The peak of memory of a process that does one side's work alone: MiB."""
    command = [sys.executable, __file__, *arguments, "--alone", side]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return int(done.stdout.splitlines()[-1])


def main(arguments: Sequence[str]) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="Latentry's wall time over diffusers' for the same work.")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="turns of each measure")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of torch, on both sides")
    parser.add_argument("--size", type=int, default=64, metavar="PIXELS", help="width and height")
    parser.add_argument("--alone", choices=("ours", "theirs"), help="only print this side's peak memory")
    asked = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = str(asked.threads)
    work = Work(asked.size, asked.threads)
    if asked.alone:
        alone(asked.alone, work)
        return
    # first, while this process is small: Linux counts a parent's memory in the peak of its child
    peaks = [peak(side, arguments) for side in ("ours", "theirs")]
    compare(work, asked.runs)
    print(f"{'peak MiB':10} {peaks[0]:6}  {peaks[1]:6}  {peaks[0] / peaks[1]:6.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
