"""Print what a UNet's call takes that remembers the keys and values of its prompt, over one that does not.

    python tests/benchmarks/remembering.py --runs 15

It is a job's second step, and every later one, on the processor. The models are those of `engines.py`, with
two rows, as guidance asks for. In each turn both calls are made, one after the other; a ratio is that of
their seconds, and the median over the turns is printed.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from time import perf_counter

import torch
from engines import MODELS

from latentry import Host
from latentry_stable_diffusion.remembering import remembering_last, text_layers


@contextmanager
def remembered(unet: torch.nn.Module) -> Iterator[None]:
    """While it lasts, the UNet computes the keys and values of a text once."""
    layers = [*text_layers(unet)]
    for layer in layers:
        layer.forward = remembering_last(layer.forward)
    yield
    for layer in layers:
        del layer.forward


def seconds(unet: torch.nn.Module, arrays: Sequence[torch.Tensor]) -> float:
    """Of one call."""
    began = perf_counter()
    unet(*arrays)
    return perf_counter() - began


def ratios(unet: torch.nn.Module, arrays: Sequence[torch.Tensor], runs: int) -> Iterator[float]:
    """With over without, in each turn."""
    unet(*arrays)
    for _ in range(runs):
        without = seconds(unet, arrays)
        with remembered(unet):
            unet(*arrays)
            yield seconds(unet, arrays) / without


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each model, and print."""
    parser = argparse.ArgumentParser(description="What is gained where a prompt's keys and values are kept.")
    parser.add_argument("--runs", type=int, default=15, metavar="N", help="turns of each model")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    asked = parser.parse_args(arguments)
    with Host() as host, torch.inference_mode():
        for name, model in MODELS.items():
            make, arrays = model(host)
            torch.set_num_threads(asked.threads)
            rows = [array if array.shape[0] == 2 else array.repeat_interleave(2, 0) for array in arrays]
            print(f"{name:6} {median(ratios(make().module, rows, asked.runs)):.3f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
