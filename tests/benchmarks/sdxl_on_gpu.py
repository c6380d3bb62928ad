"""Draw with SDXL at its full size by diffusers and by a host, plain and compiled, on one GPU.

    python tests/benchmarks/sdxl_on_gpu.py --seconds 200 --json sdxl.json --write docs/benchmarks.md
    python tests/benchmarks/sdxl_on_gpu.py --tiny

Random weights in SDXL base's real configurations, bfloat16 throughout, 1024 × 1024, 30 steps of Euler,
guided, so that the UNet is called with two rows; up to the bytes of a PNG file. All sides begin with the same
noise, in one process; each picture has a prompt of its own. "first" is a side's first picture, placing and
compilation included, and for the first of ours the reading of the model. A ratio is the reference's time
over the side's in one turn, so above 1 is faster; medians of the turns are shown. "kept" are weights on the
GPU and what the first picture left there, "peak" has what a later one takes beside. "distance" is the
relative L2 distance of the first picture's final latents from those of diffusers without compilation. The
roofline is the measured rate of a product of two matrices in bfloat16. Each side is printed when it is
measured; those that `--seconds` leave no time for are left out. On the processor it is float32, and nothing
is compiled.
"""

import argparse
import gc
import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from sdxl_sides import (
    Drawn,
    Loaded,
    Side,
    Work,
    diffusers_side,
    latentry_side,
    made,
    operations,
    product_rate,
)
from tables import page_with

MARK, PROMPT = "sdxl on a gpu", "a red apple on a blue background"
PLAIN, THEIRS, WHOLE = "diffusers", "diffusers, compiled", "latentry, compiled whole"
HEAD = (
    "side",
    "first",
    "a picture",
    "ratio",
    "reference",
    "TFLOP/s",
    "of roofline",
    "kept",
    "peak",
    "distance",
)


@dataclass(frozen=True)
class Choice:
    """A side, what takes turns with it, and the seconds that it needs at full size, for `--seconds`."""

    open: Callable[[Work, Loaded], Side]
    reference: str
    needs: float


def choices(device: str) -> Mapping[str, Choice]:
    """All sides in order; on the processor by a back end that compiles nothing."""
    gpu = device == "cuda"
    graphed = {"mode": "reduce-overhead"} if gpu else {"backend": "aot_eager"}
    blocks = {"mode": "default"} if gpu else {"backend": "aot_eager"}
    last = {"channels_last": True} if gpu else {}
    recorded = {**last, "graphs": 4} if gpu else {}
    return {
        PLAIN: Choice(lambda work, _: diffusers_side(work), "", 15),
        "latentry": Choice(lambda work, loaded: latentry_side(work, loaded, {}), PLAIN, 50),
        THEIRS: Choice(lambda work, _: diffusers_side(work, graphed), "", 60),
        WHOLE: Choice(
            lambda work, loaded: latentry_side(work, loaded, last, {**graphed, "blocks": False}), THEIRS, 15
        ),
        "latentry, compiled blocks": Choice(
            lambda work, loaded: latentry_side(work, loaded, last, {**blocks, "blocks": True}), THEIRS, 25
        ),
        "latentry, graphs": Choice(lambda work, loaded: latentry_side(work, loaded, recorded), THEIRS, 25),
    }


@dataclass
class Result:
    """What was measured of a side: seconds, ratios to the reference, bytes, the distance, or an error."""

    first: float = 0.0
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    reference: str = ""
    kept: int = 0
    passing: int = 0
    distance: float | None = None
    error: str = ""


class Bench:
    """Opens sides one after another and keeps them for turns with later ones."""

    def __init__(self, work: Work, turns: int) -> None:
        self.work, self.turns = work, turns
        self.loaded = Loaded(work.folder)
        self.sides: dict[str, Side] = {}
        self.results: dict[str, Result] = {}
        self._wanted: Any = None
        self._count = 0

    def measure(self, name: str, choice: Choice) -> Result:
        """Open a side and let it draw; an error becomes its result."""
        result = self.results[name] = Result()
        try:
            self._first(name, choice, result)
            for _ in range(self.turns if choice.reference else 1):  # later sides bring it more
                self._turn(name, choice.reference, result)
        except Exception as exc:  # the others go on
            traceback.print_exc()
            result.error = f"{type(exc).__name__}: {' '.join(str(exc).replace('|', '/').split())[:160]}"
        return result

    def needs(self, name: str, choice: Choice) -> float:
        """Seconds that a side will take: to compile all, about what it took diffusers."""
        theirs = self.results.get(THEIRS)
        return choice.needs + (theirs.first if theirs and name == WHOLE else 0)

    def _first(self, name: str, choice: Choice, result: Result) -> None:
        before = self._allocated()
        began = perf_counter()
        side = choice.open(self.work, self.loaded)
        self.sides[name] = side
        opened = self._allocated() if side.held else before
        drawn = side.draw(PROMPT)
        result.first = perf_counter() - began
        result.kept = side.held + self._allocated() - opened
        result.distance = self._distance(drawn)

    def _turn(self, name: str, reference: str, result: Result) -> None:
        self._count += 1
        prompt = f"{self._count} {PROMPT}"
        with_it = reference in self.sides and not self.results[reference].error
        before = self._timed(reference, prompt) if with_it else 0.0
        seconds = self._timed(name, prompt)
        if with_it:
            result.reference = reference
            result.ratios.append(before / seconds)

    def _timed(self, name: str, prompt: str) -> float:
        began, allocated = self._start(), self._allocated()
        self.sides[name].draw(prompt)
        seconds = perf_counter() - began
        self.results[name].seconds.append(seconds)
        self.results[name].passing = max(self.results[name].passing, self._most() - allocated)
        return seconds

    def _start(self) -> float:
        if self.work.device == "cuda":
            import torch

            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        return perf_counter()

    def _allocated(self) -> int:
        import torch

        return torch.cuda.memory_allocated() if self.work.device == "cuda" else 0

    def _most(self) -> int:
        import torch

        return torch.cuda.max_memory_allocated() if self.work.device == "cuda" else 0

    def _distance(self, drawn: Drawn) -> float | None:
        found = drawn.latents
        if not bool(found.isfinite().all()):
            raise RuntimeError("the latents are not finite")
        if self._wanted is None:
            self._wanted = found
        return float((found - self._wanted).norm() / self._wanted.norm())

    def close(self, *wanted: str) -> None:
        """Give back all sides but these."""
        for name in self.sides.keys() - {*wanted}:
            self.sides.pop(name).close()
        gc.collect()


def row(name: str, result: Result, count: float, rate: float) -> Sequence[str]:
    """The table's row of a side; `count` operations are a picture, and `rate` TFLOP/s the roofline."""
    if result.error or not result.seconds:
        return (name, result.error or "left out: no time", *["–"] * (len(HEAD) - 2))
    seconds = median(result.seconds)
    reached = count / seconds / 1e12
    return (
        name,
        f"{result.first:.1f} s",
        f"{seconds:.3f} s",
        f"{median(result.ratios):.3f}" if result.ratios else "–",
        result.reference or "–",
        f"{reached:.3g}",
        f"{reached / rate:.1%}" if rate else "–",
        f"{result.kept / 1e9:.2f} GB",
        f"{(result.kept + result.passing) / 1e9:.2f} GB",
        "–" if result.distance is None else f"{result.distance:.0e}",
    )


def counted(work: Work) -> tuple[float, float]:
    """The operations of a picture and of a step; none where torch cannot count them, which loses no side."""
    try:
        return operations(work)
    except Exception:
        traceback.print_exc()
        return 0.0, 0.0


def about(device: str) -> Mapping[str, Any]:
    """The card, and versions."""
    import diffusers
    import torch

    card = torch.cuda.get_device_name() if device == "cuda" else "processor"
    return {"card": card, "torch": torch.__version__, "diffusers": diffusers.__version__}


def said(asked: argparse.Namespace, found: dict[str, Any], new: Sequence[str] = ()) -> None:
    """Print a row, and write what there is."""
    if new:
        print(f"| {' | '.join(new)} |", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if asked.write and new:
        page = asked.write.read_text(encoding="utf-8")
        rows = page_with(page, MARK, HEAD, [*choices("cuda")], [new])
        asked.write.write_text(rows, encoding="utf-8")


def run(asked: argparse.Namespace, folder: Path, began: float) -> None:
    """Make the model, measure each side that there is time for."""
    device = "cuda" if asked.device == "cuda" else "cpu"
    dtype = "float32" if device == "cpu" else "bfloat16"
    parts = made(folder / "sdxl", tiny=asked.tiny, device=device, dtype=dtype)
    work = Work(folder / "sdxl", parts, device, dtype, 64 if asked.tiny else 1024, asked.steps)
    weights = sum(weight.numel() for weight in parts["unet"].parameters())
    found: dict[str, Any] = {**about(device), "unet": weights, "made": perf_counter() - began}
    rate = product_rate() if device == "cuda" else 0.0
    count, step = counted(work)
    found |= {"roofline": rate, "operations": count, "step": step, "counted": perf_counter() - began}
    print("; ".join(f"{name} {value}" for name, value in found.items()), flush=True)
    print(f"| {' | '.join(HEAD)} |", flush=True)
    said(asked, found)
    found["sides"], bench = {}, Bench(work, asked.turns)
    sides = choices(device)
    for index, (name, choice) in enumerate(sides.items()):
        bench.close(*(later.reference for later in [*sides.values()][index:]))
        needs = 0 if asked.tiny else bench.needs(name, choice)
        late = perf_counter() - began + needs > asked.seconds
        result = Result() if late else bench.measure(name, choice)
        found["sides"][name] = {**asdict(result), "until": perf_counter() - began}
        said(asked, found, row(name, result, count, rate))
    print("all turns:", flush=True)
    for name, result in bench.results.items():  # later sides' turns have added to some
        found["sides"][name] |= asdict(result)
        said(asked, found, row(name, result, count, rate))
    bench.close()


def main(arguments: Sequence[str]) -> None:
    """Parse, measure, print."""
    import torch

    began = perf_counter()
    parser = argparse.ArgumentParser(description="SDXL on one GPU by diffusers and by a host.")
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--tiny", action="store_true", help="the tests' tiny SDXL at 64 × 64")
    parser.add_argument("--steps", type=int, default=30, metavar="N")
    parser.add_argument(
        "--turns", type=int, default=3, metavar="N", help="pictures of a side after its first"
    )
    parser.add_argument(
        "--seconds", type=float, default=3600, metavar="N", help="begin no side that takes longer"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the weights are written: 7 GB; memory if there is room"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page whose table is replaced")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        run(asked, Path(folder), began)


if __name__ == "__main__":
    main(sys.argv[1:])
