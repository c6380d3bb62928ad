"""Compare a UNet's calls on each engine of the processor with torch's own, and write docs/benchmarks.md.

    python tests/benchmarks/engines.py --model emoji --write docs/benchmarks.md
    python tests/benchmarks/engines.py --model mid --calls 5 --limit 900 --write docs/benchmarks.md
    python tests/benchmarks/engines.py --model mid --sides "openvino;openvino, static" --calls 3

"emoji" is the embedded model's UNet at its own size; "mid" has the layout of Stable Diffusion 1.5 at half its
width, random weights, and latents of 64 × 64. All sides have the same number of threads and one call at a
time. Each takes turns with torch in one process, and a ratio is torch's time over the side's in one turn:
above 1 is faster than torch. Medians of the turns are shown, with the relative L2 distance from torch's
answer. "first" is the first placing with its first call, in a process of its own, and "kept" the same again
with what that left on disk. A side whose first call is not done within `--limit` seconds is given up, and its
row says so. A busy machine spoils seconds more than ratios. The page's rows of the sides that were named are
replaced, each when it is measured.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tables import page_with

from latentry import Host
from latentry_sdk import Component, read_header

if TYPE_CHECKING:
    from torch import Tensor

Call = Callable[..., "Tensor"]
HEAD = ("way", "ratio to torch", "seconds a call", "first call", "kept", "distance")
TORCH = "torch eager"


@dataclass(frozen=True)
class Side:
    """A device, its options, and those of `compile` and the quantizer's scheme if they are used."""

    device: str
    options: Mapping[str, Any]
    compiled: Mapping[str, Any] | None = None
    quantized: str = ""


SIDES = {
    "openvino": Side("openvino", {}),
    "openvino, static": Side("openvino", {"shapes": "static"}),
    "openvino, hint latency": Side("openvino", {"hint": "latency"}),
    "openvino, static, hint latency": Side("openvino", {"shapes": "static", "hint": "latency"}),
    "openvino, 2 streams": Side("openvino", {"streams": 2}),
    "openvino, nncf:int8": Side("openvino", {}, quantized="nncf:int8"),
    "openvino, nncf:int8, static": Side("openvino", {"shapes": "static"}, quantized="nncf:int8"),
    "openvino, int8": Side("openvino", {"int8": "unet"}),
    "openvino, int8, static": Side("openvino", {"int8": "unet", "shapes": "static"}),
    "onnxruntime": Side("onnxruntime", {}),
    "compile, blocks": Side("cpu", {}, {"blocks": True}),
    "compile, whole": Side("cpu", {}, {"blocks": False}),
    "torch, torchao:int8-dynamic": Side("cpu", {}, quantized="torchao:int8-dynamic"),
    "torch, torchao:int8": Side("cpu", {}, quantized="torchao:int8"),
    "torch, sdnq:int8": Side("cpu", {}, quantized="sdnq:int8"),
    "torch, quanto:int8": Side("cpu", {}, quantized="quanto:int8"),
    "torch, bitsandbytes:int8": Side("cpu", {}, quantized="bitsandbytes:int8"),
    "ipex": Side("ipex", {}),
    "ipex, prepacked": Side("ipex", {"prepack": True}),
}


@dataclass(frozen=True)
class Work:
    """What every side does."""

    host: Host
    model: str
    component: Callable[[], Component]
    arrays: tuple["Tensor", ...]
    threads: int
    cache: Path


def opened(work: Work, side: Side) -> tuple[Call, Callable[[], None]]:
    """The component on a side, and what takes it away again."""
    spec = work.host.registry.devices[side.device]
    common = {"threads": work.threads, "cache": work.cache / side.device}
    options = {name: value for name, value in common.items() if name in spec.options.model_fields}
    options.update(side.options)
    device, component = spec.open(spec.options.model_validate(options)), work.component()
    if side.quantized:
        quantizer, _, scheme = side.quantized.partition(":")
        component = work.host.registry.quantizers[quantizer].apply(component, scheme)
    undo: Callable[[], None] = lambda: None  # noqa: E731
    if side.compiled is not None:
        optimizer = work.host.registry.optimizers["compile"]
        asked = optimizer.options.model_validate({"cache": work.cache / "compile", **side.compiled})
        component, undo = optimizer.apply(component, device, **dict(asked))
    placed = device.place(component, None)

    def close() -> None:
        placed.close()
        undo()
        device.close()

    return placed, close


def first(work: Work, side: Side) -> tuple[float, Call, Callable[[], None]]:
    """Seconds of placing and of the first call."""
    began = perf_counter()
    call, close = opened(work, side)
    timed(call, work.arrays)
    return perf_counter() - began, call, close


def timed(call: Call, arrays: Sequence["Tensor"]) -> float:
    """Seconds of one call, as stages make it: without autograd."""
    import torch

    with torch.inference_mode():
        began = perf_counter()
        call(*arrays)
        return perf_counter() - began


def cold(work: Work, name: str, limit: float) -> float | None:
    """Seconds of a side's first placing and call in a new process; None where they are more than `limit`."""
    command = [sys.executable, __file__, "--first", name, "--model", work.model]
    command += ["--threads", str(work.threads), "--cache", str(work.cache)]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    return float(done.stdout.splitlines()[-1])


def rows(work: Work, names: Sequence[str], calls: int, limit: float) -> Iterator[Sequence[str]]:
    """A row for each side, that of torch last, for all its turns."""
    import torch

    torch.set_num_threads(work.threads)
    _, reference, _ = first(work, Side("cpu", {}))
    alone: list[float] = []
    for name in names:
        began = cold(work, name, limit)
        if began is None:
            yield name, "–", "–", f"over {limit:.0f} s", "–", "–"
            continue
        kept, call, close = first(work, SIDES[name])
        turns = [(timed(reference, work.arrays), timed(call, work.arrays)) for _ in range(calls)]
        ratio, seconds = median(one / two for one, two in turns), median(two for _, two in turns)
        off = distance(call, reference, work.arrays)
        close()
        alone += [one for one, _ in turns]
        yield name, f"{ratio:.2f}", f"{seconds:.3f}", f"{began:.1f} s", f"{kept:.1f} s", f"{off:.0e}"
    if alone:
        yield TORCH, "1.00", f"{median(alone):.3f}", "–", "–", "0"


def distance(call: Call, reference: Call, arrays: Sequence["Tensor"]) -> float:
    """The relative L2 distance of two answers."""
    import torch

    with torch.inference_mode():
        found, wanted = call(*arrays), reference(*arrays)
    return float((found - wanted).norm() / wanted.norm())


def emoji(host: Host) -> tuple[Callable[[], Component], tuple["Tensor", ...]]:
    """The embedded model's UNet and arguments of its own size, for one guided picture."""
    import torch

    path = next(entry.path for entry in host.models() if entry.name == "emoji")
    header = read_header(path)
    family = host.registry.models["stable-diffusion"]
    detected = family.detect(header)
    arrays = family.load(header, detected)["unet"].example()
    torch.manual_seed(0)
    drawn = tuple(torch.randn_like(array) if array.dim() > 1 else array for array in arrays)
    return lambda: family.load(header, detected)["unet"], drawn


def mid(_host: Host) -> tuple[Callable[[], Component], tuple["Tensor", ...]]:
    """A UNet with the layout of Stable Diffusion 1.5 at half its width, with random weights."""
    import torch
    from diffusers import UNet2DConditionModel

    class Unet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.model = UNet2DConditionModel(
                sample_size=64,
                block_out_channels=(160, 320, 640, 640),
                attention_head_dim=8,
                cross_attention_dim=768,
            )

        def forward(self, x: "Tensor", timestep: "Tensor", text: "Tensor") -> "Tensor":
            answer: Tensor = self.model(x, timestep, text, return_dict=False)[0]
            return answer

    torch.manual_seed(0)
    module = Unet().eval().requires_grad_(False)
    arrays = torch.randn(1, 4, 64, 64), torch.tensor([500.0]), torch.randn(1, 77, 768)
    return lambda: Component("unet", "torch", module, lambda: arrays, lambda: "mid, seed 0"), arrays


def usual(host: Host) -> list[str]:
    """The sides that are compared where none is named: those on devices that are there, but the slowest."""
    there = {name for name, report in host.devices().items() if report.available}
    return [name for name, side in SIDES.items() if side.device in there and name != "compile, whole"]


MODELS = {"emoji": emoji, "mid": mid}


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Compare a UNet's calls on each engine with torch's.")
    parser.add_argument("--model", choices=MODELS, default="emoji")
    parser.add_argument("--sides", help="those to compare, with semicolons between; all but the slowest")
    parser.add_argument("--calls", type=int, default=20, metavar="N", help="turns of each side")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--limit", type=float, default=900, metavar="SECONDS", help="for a side's first call")
    parser.add_argument("--cache", type=Path, help="keep converted models here; else first calls are cold")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page whose table is replaced")
    parser.add_argument("--first", choices=SIDES, help="only print the seconds of this side's first call")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, Host() as host:
        names = asked.sides.split(";") if asked.sides else usual(host)
        component, arrays = MODELS[asked.model](host)
        work = Work(host, asked.model, component, arrays, asked.threads, asked.cache or Path(folder))
        if asked.first:
            print(first(work, SIDES[asked.first])[0])
            return
        for row in rows(work, names, asked.calls, asked.limit):
            print("  ".join(row), flush=True)
            if asked.write:
                text = asked.write.read_text(encoding="utf-8")
                page = page_with(text, f"engines: {asked.model}", HEAD, (TORCH, *SIDES), [row])
                asked.write.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
