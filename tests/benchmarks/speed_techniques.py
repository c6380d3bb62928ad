"""Print what techniques of speed gain on a UNet, and how far they change its results.

    python tests/benchmarks/speed_techniques.py --size 48 --runs 3

The UNet has the layout of Stable Diffusion 1 at an eighth of its width, with random weights. Each turn goes
through four timesteps without the technique, then with it. A ratio is the time with it to that without it in
one turn; the median over the turns is printed, and the relative L2 distance of all results.
"""

import argparse
import copy
from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

import torch

from latentry_channels_last import register_optimizers as channels_last
from latentry_deepcache import register_optimizers as deepcache
from latentry_hypertile import register_optimizers as hypertile
from latentry_sdk.testing.here import HERE_SPEC
from latentry_sdk.testing.parts import as_component
from latentry_tome import register_optimizers as tome

TIMES = (900.0, 850.0, 800.0, 750.0)
WIDTHS, TEXT = (40, 80, 160, 160), 96


class Unet(torch.nn.Module):
    """Called with positional arguments, as a family's."""

    def __init__(self) -> None:
        from diffusers import UNet2DConditionModel

        super().__init__()
        torch.manual_seed(0)
        sizes = {"block_out_channels": WIDTHS, "norm_num_groups": 8, "attention_head_dim": 8}
        self.model = UNet2DConditionModel(cross_attention_dim=TEXT, **sizes)

    def forward(self, *arguments: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model(*arguments, return_dict=False)[0]
        return found


def run(module: Any, size: int) -> tuple[float, torch.Tensor]:
    """Seconds for all timesteps, and what came out."""
    draws = torch.Generator().manual_seed(1)
    noise, text = torch.randn(2, 4, size, size, generator=draws), torch.randn(2, 77, TEXT, generator=draws)
    began = perf_counter()
    found = [module(noise * (1 - step / 10), torch.tensor([time]), text) for step, time in enumerate(TIMES)]
    return perf_counter() - began, torch.stack(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each technique with its defaults, and print."""
    parser = argparse.ArgumentParser(description="Print what techniques of speed gain and change.")
    parser.add_argument("--size", type=int, default=48, metavar="N", help="a side of the latents")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="turns")
    options = parser.parse_args(arguments)
    device, plain = HERE_SPEC.open(HERE_SPEC.options()), Unet().eval().requires_grad_(False)
    with torch.inference_mode():
        run(plain, options.size)
        for (spec,) in (tome(), hypertile(), deepcache(), channels_last()):
            module = copy.deepcopy(plain)
            component = as_component("unet", module, lambda *_: ())
            spec.apply(component, device, **dict(spec.options()))
            run(module, options.size)
            turns = [(run(plain, options.size), run(module, options.size)) for _ in range(options.runs)]
            ratio = median(mine / theirs for (theirs, _), (mine, _) in turns)
            wanted, found = turns[0][0][1], turns[0][1][1]
            error = float((found - wanted).norm() / wanted.norm())
            print(f"{spec.name:14} time {ratio:.2f}  error {error:.2g}", flush=True)


if __name__ == "__main__":
    main()
