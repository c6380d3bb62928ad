"""What sets the processor apart from other torch devices."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from latentry_cpu.probing import DTYPES
from latentry_sdk import Unavailable
from latentry_sdk.machine import system_memory
from latentry_sdk.torch_device import TorchPlace

if TYPE_CHECKING:
    from latentry_cpu import CpuOptions


def processor(options: "CpuOptions") -> TorchPlace:
    """The processor, used as `options` say."""
    return TorchPlace(
        name="cpu",
        home="cpu",
        dtypes=DTYPES,
        memory=system_memory,
        check=check_dtype,
        context=partial(threads, options.threads),
        shared=True,
        channels_last=options.channels_last,
    )


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads for one operation, torch's own number for 0; as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_dtype(name: str) -> None:
    """Refuse bfloat16 with `Unavailable` where the processor lacks it."""
    if name == "bfloat16" and not has_bfloat16():
        raise Unavailable(
            "this processor has no bfloat16; it would be about 300 times slower", fix="choose float32"
        )


def has_bfloat16() -> bool:
    """Whether oneDNN has fast bfloat16 kernels for this processor."""
    import torch

    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a torch built without oneDNN
        return False
