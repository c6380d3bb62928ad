"""Draw the same pictures on every device here, and write how they differ into docs/devices-compared.md.

    python tests/benchmarks/devices_compared.py --write docs/devices-compared.md
    python tests/benchmarks/devices_compared.py --ways openvino --pictures 4

The reference is torch on the processor in float32. The embedded model draws held-out captions, and the
evaluation of latentry-emoji looks for each object among all of its concepts; a tiny SDXL with random weights
draws one picture. A difference is that of a channel of a pixel, of 255. Devices that convert components keep
them in `--cache`, so that a second run is faster. The rows of the ways that were named are made anew, all
unless given, and each is written when it is done. No time is measured.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentry import Host, Request
from latentry_emoji.evaluation import benchmark_scenes, score
from latentry_emoji.evaluation.hosting import draw_captions

if TYPE_CHECKING:
    from PIL.Image import Image

ROOT = Path(__file__).parents[2]
TINY = ROOT / "plugins" / "latentry-stable-diffusion" / "tests" / "conftest.py"
TABLE = re.compile(r"(?<=<!-- devices -->\n)(?P<table>(?:\|.*\n)*)")
HEAD = ("way", "emoji: largest difference", "emoji: values that differ", "emoji: recognised", "XL: largest")
NAMES, STEPS, SEED = ("bus", "hamburger", "penguin"), 12, 1
"""What the model draws well, and how."""

REFERENCE = "cpu"
WAYS: Mapping[str, Mapping[str, Any]] = {
    "cpu": {"place": {"*": "cpu"}},
    "openvino": {"place": {"*": "openvino"}},
    "onnxruntime": {"place": {"*": "onnxruntime"}},
    "onnxruntime, openvino and cpu": {
        "place": {"*": "cpu", "unet": "onnxruntime", "vae_decoder": "openvino"}
    },
    "cpu, compiled by aot_eager": {
        "place": {"*": "cpu"}, "optimizers": ("unet=compile",),
        "options": {"compile": {"backend": "aot_eager"}},
    },
    "cpu, compiled by inductor": {"place": {"*": "cpu"}, "optimizers": ("unet=compile",)},
}  # fmt: skip
"""What is compared, by what the table calls it: fields of the request."""

CACHES = ("openvino", "onnxruntime", "compile")
"""Owners of an option `cache`."""


@dataclass(frozen=True)
class Drawn:
    """What one way gave: pictures of the embedded model and the share recognised, and one of a tiny SDXL."""

    emoji: Sequence["Image"]
    recognised: float
    tiny: "Image"


@dataclass(frozen=True)
class Work:
    """What every way does: `count` pictures of the embedded model, and one of the tiny model in `tiny`."""

    count: int
    steps: int
    tiny: Path
    cache: Path

    def asked(self, way: str) -> Request:
        """The request of a way, without prompt and model."""
        chosen = dict(WAYS[way])
        used = {*chosen["place"].values(), *(name.split("=")[-1] for name in chosen.get("optimizers", ()))}
        options = {name: {"cache": str(self.cache / name)} for name in CACHES if name in used}
        for name, given in chosen.pop("options", {}).items():
            options[name] = {**options.get(name, {}), **given}
        return Request(
            task="txt2img", model="emoji", steps=self.steps, guidance=4.0, seed=SEED, dtype="float32",
            memory="off", options=options, **chosen,
        )  # fmt: skip


def draw(host: Host, work: Work, way: str) -> Drawn:
    """All pictures of a way."""
    scenes = benchmark_scenes(work.count, names=NAMES, pair_share=0, seed=SEED)
    asked = work.asked(way)
    pictures = draw_captions(host, asked, [scene.caption for scene in scenes])
    changes = {"prompt": "a red apple", "model": str(work.tiny), "width": 64, "height": 64}
    tiny = host.run(asked.model_copy(update=changes)).artifacts[0].open()
    return Drawn(pictures, score(pictures, scenes).recall_1 or 0.0, tiny)


def difference(one: Sequence["Image"], other: Sequence["Image"]) -> tuple[int, float]:
    """The largest difference of two lists of pictures, and the share of values that differ."""
    pairs = zip(one, other, strict=True)
    found = np.stack([np.abs(values(a) - values(b)) for a, b in pairs])
    return int(found.max()), float((found > 0).mean())


def values(picture: "Image") -> Any:
    """Its channels as signed numbers, which can be subtracted."""
    return np.asarray(picture.convert("RGB")).astype(int)


def rows(host: Host, work: Work, ways: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A row for each way, the reference first."""
    wanted = draw(host, work, REFERENCE)
    for way in (REFERENCE, *(way for way in ways if way != REFERENCE)):
        found = wanted if way == REFERENCE else draw(host, work, way)
        most, share = difference(found.emoji, wanted.emoji)
        tiny, _ = difference([found.tiny], [wanted.tiny])
        yield way, str(most), f"{100 * share:.2f} %", f"{found.recognised:.2f}", str(tiny)


def tiny_sdxl(folder: Path) -> Path:
    """A tiny SDXL with random weights, saved as diffusers saves it, as other tests make it."""
    spec = spec_from_file_location("tiny_models", TINY)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.tiny_pipeline(**module.TINY["sdxl"]).save_pretrained(folder)
    return folder


def page_with(text: str, row: Sequence[str]) -> str:
    """The page with this row in its place, among the others."""
    found = TABLE.search(text)
    lines = found["table"].splitlines()[2:] if found else []
    table = {cells[0]: cells for cells in (line.strip("| ").split(" | ") for line in lines)}
    table[row[0]] = list(row)
    body = [table[way] for way in WAYS if way in table]
    whole = [HEAD, ["---"] * len(HEAD), *body]
    return TABLE.sub("".join(f"| {' | '.join(line)} |\n" for line in whole), text, count=1)


def main(arguments: Sequence[str]) -> None:
    """Draw, print, write."""
    parser = argparse.ArgumentParser(description="Compare the pictures of all devices with the processor's.")
    parser.add_argument("--ways", default=";".join(WAYS), help="those to compare, with semicolons between")
    parser.add_argument("--pictures", type=int, default=12, metavar="N", help="of the embedded model")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N")
    parser.add_argument("--cache", type=Path, help="where converted models are kept; else nowhere")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page whose table is replaced")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, Host() as host:
        work = Work(
            asked.pictures, asked.steps, tiny_sdxl(Path(folder) / "tiny"), asked.cache or Path(folder)
        )
        for row in rows(host, work, asked.ways.split(";")):
            print("  ".join(row), flush=True)
            if asked.write:
                page = asked.write.read_text(encoding="utf-8")
                asked.write.write_text(page_with(page, row), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
