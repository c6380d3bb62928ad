"""Print what 8 bits gain and cost with OpenVINO: in weights, and in weights and activations of the UNet.

    python tests/benchmarks/int8_activations.py --calls 40 --pictures 20

Each way calls the embedded model's UNet of one fixed size on one thread, in turns with float32 on OpenVINO.
The first number is the ratio of float32's time to the way's, so above 1 is faster; the second is the relative
L2 distance from its result, for noise at timestep 500. Then each way draws held-out captions in 20 steps. The
third number is the root of the mean squared difference from float32's pictures, of 255; the last is the share
of them whose object the evaluation of latentry-emoji finds to be the one that was asked for.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from devices_compared import values
from engines import Side, Work, distance, emoji, opened, timed

from latentry import Host, Request
from latentry_emoji.evaluation import benchmark_scenes, score
from latentry_emoji.evaluation.hosting import draw_captions

if TYPE_CHECKING:
    from PIL.Image import Image

STATIC = {"shapes": "static"}
WAYS: Mapping[str, tuple[Side, Mapping[str, Any]]] = {
    "float32": (Side("openvino", STATIC), {}),
    "weights": (Side("openvino", STATIC, quantized="nncf:int8"), {"quantize": {"unet": "nncf:int8"}}),
    "both": (Side("openvino", {**STATIC, "int8": "unet"}), {"options": {"openvino": {"int8": "unet"}}}),
}
"""How a UNet is called, and the request's fields that ask for the same."""


def speeds(work: Work, calls: int) -> Mapping[str, tuple[float, float]]:
    """Of each way the ratio and the distance."""
    sides = {name: opened(work, side)[0] for name, (side, _) in WAYS.items()}
    for call in sides.values():
        timed(call, work.arrays)
    turns = [{name: timed(call, work.arrays) for name, call in sides.items()} for _ in range(calls)]
    plain = sides["float32"]
    return {
        name: (median(turn["float32"] / turn[name] for turn in turns), distance(call, plain, work.arrays))
        for name, call in sides.items()
    }


def drawn(host: Host, cache: Path, count: int) -> Mapping[str, tuple[Sequence["Image"], float]]:
    """Of each way the pictures, and the share that is recognised."""
    scenes = benchmark_scenes(count, pair_share=0, seed=1)
    found = {}
    for name, (_, fields) in WAYS.items():
        options = {"openvino": {"cache": str(cache), **fields.get("options", {}).get("openvino", {})}}
        request = Request(
            task="txt2img", model="emoji", steps=20, guidance=4.0, seed=1, place={"*": "openvino"},
            dtype="float32", **{**fields, "options": options},
        )  # fmt: skip
        pictures = draw_captions(host, request, [scene.caption for scene in scenes])
        found[name] = pictures, score(pictures, scenes).recall_1 or 0.0
    return found


def apart(pictures: Sequence["Image"], wanted: Sequence["Image"]) -> float:
    """The root of the mean squared difference of their channels, of 255."""
    pairs = zip(pictures, wanted, strict=True)
    return float(np.sqrt(np.mean([(values(one) - values(other)) ** 2 for one, other in pairs])))


def main(arguments: Sequence[str]) -> None:
    """Measure and print a line for each way."""
    parser = argparse.ArgumentParser(description="What 8 bits gain and cost with OpenVINO.")
    parser.add_argument("--calls", type=int, default=40, metavar="N", help="turns")
    parser.add_argument("--pictures", type=int, default=20, metavar="N", help="captions to draw")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, Host() as host:
        component, arrays = emoji(host)
        measured = speeds(Work(host, "emoji", component, arrays, 1, Path(folder)), asked.calls)
        pictures = drawn(host, Path(folder) / "openvino", asked.pictures)
        for name, (ratio, off) in measured.items():
            found, recognised = pictures[name]
            off_picture = apart(found, pictures["float32"][0])
            print(f"{name:8} {ratio:5.2f}  {off:.4f}  {off_picture:5.1f}  {recognised:.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
