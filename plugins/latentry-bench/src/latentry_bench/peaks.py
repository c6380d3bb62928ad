"""Measure what a device does at most, through torch and in about two seconds."""

import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from latentry_bench.roofline import Peak

SIDES = (256, 512, 1024, 2048, 4096, 8192)
"""Of the matrices that are multiplied; larger ones are left out once one product takes `ENOUGH`."""

MULTIPLIED = ("float64", "float32", "float16", "bfloat16")
"""The types that torch multiplies matrices of, wherever the device has them."""

ENOUGH = 0.25
"""Seconds."""

COPIED = 256 << 20
"""Bytes of the array that is copied: much more than caches hold."""


def probe(where: str, dtype: str) -> Peak:
    """The best rate of square matrix products over a few sizes, and that of copies of a large array.

    A product of n × n matrices is 2 n³ operations; a copy reads and writes each byte once.
    """
    import torch

    kind = getattr(torch, dtype)
    with torch.inference_mode():
        flops = _products(where, kind)
        count = COPIED // 4
        source = torch.ones(count, dtype=torch.float32, device=where)
        target = torch.empty_like(source)
        bandwidth = 2 * 4 * count / _least(lambda: target.copy_(source))
    return Peak(flops, bandwidth, where, dtype)


def settle() -> None:
    """Wait until the accelerator, if torch is loaded and has one, has done what it was given."""
    torch = sys.modules.get("torch")
    api = getattr(torch, "accelerator", None)  # torch 2.4 has none
    found = api.current_accelerator() if api and api.is_available() else None
    backend: Any = getattr(torch, found.type, None) if found else None
    if hasattr(backend, "synchronize"):
        backend.synchronize()


def _products(where: str, kind: Any) -> float:
    import torch

    found = 0.0
    for side in SIDES:
        left = torch.ones(side, side, device=where).to(kind)
        seconds = _least(partial(torch.matmul, left, left))
        found = max(found, 2 * side**3 / seconds)
        if seconds > ENOUGH / 8:  # the next takes eight times as long
            break
    return found


def _least(call: Callable[[], object]) -> float:
    """The least seconds of a call, after one that does not count: of 3 at least, of 50 in `ENOUGH`."""
    call()
    settle()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < ENOUGH and len(times) < 50):
        began = perf_counter()
        call()
        settle()
        times.append(perf_counter() - began)
    return min(times)
