"""What probes of GPUs share, whoever made them: names, which ones are visible, what torch holds. Light."""

import sys
from collections.abc import Callable, Sequence
from functools import partial

from latentry.request import Options
from latentry.specs import DeviceSpec
from latentry.types import Device, DeviceReport, Memory


def one_for_each(
    count: int,
    name: str,
    maker: str,
    *,
    probe: Callable[[int], DeviceReport],
    open: Callable[[int, Options], Device],  # noqa: A002
    memory: Callable[[int], Memory],
    options: type[Options],
) -> Sequence[DeviceSpec]:
    """A device for each GPU, or one that explains where there is none: `name`, `name`-1 and so on.

    They are also called `name`:0, `name`:1. The functions take the GPU's number first.
    """
    return [
        DeviceSpec(
            name_of(name, index),
            partial(probe, index),
            partial(open, index),
            memory=partial(memory, index),
            options=options,
            aliases=(f"{name}:{index}",),
            description=f"{maker} GPU {index}, with torch",
        )
        for index in range(max(1, count))
    ]


def name_of(name: str, index: int) -> str:
    """The name for users of the GPU of this number."""
    return f"{name}-{index}" if index else name


def visible(names: Sequence[str], wanted: str | None) -> Sequence[int]:
    """The GPUs, by number, that a variable like CUDA_VISIBLE_DEVICES shows: all where it is None.

    It holds numbers, or unique beginnings of the GPUs' own `names`, with commas between. As for CUDA, the
    first that stands for no GPU ends the list.
    """
    if wanted is None:
        return range(len(names))
    found: list[int] = []
    for word in (word.strip() for word in wanted.split(",")):
        named = [index for index, name in enumerate(names) if word and name.startswith(word)]
        index = int(word) if word.isdecimal() else named[0] if len(named) == 1 else len(names)
        if index >= len(names):
            break
        found.append(index)
    return found


def with_held(memory: Memory, runtime: str, index: int) -> Memory:
    """`memory` with what torch keeps on that GPU for this process counted as free.

    `runtime` is torch's module for it, "cuda" or "xpu"; torch is not imported for this.
    """
    torch = sys.modules.get("torch")
    api = getattr(torch, runtime, None)
    if memory.total is None or memory.free is None or api is None or not api.is_initialized():
        return memory
    return Memory(memory.total, min(memory.free + int(api.memory_reserved(index)), memory.total))
