"""Remember for one job what a UNet makes of timesteps, sizes and prompts, which keep coming back."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any

from latentry_sdk import JOB, PLACED, Placed, State
from latentry_sdk.torch_placed import TorchModule

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

PARTS = ("time_proj", "time_embedding", "add_time_proj", "add_embedding")
"""What of a UNet of diffusers sees only numbers and pooled prompts."""

MOST = 1024
"""Answers of a part that are kept: at SDXL's width and two rows, 10 KiB each."""


def remember_embeddings(state: State) -> None:
    """Until the job ends, compute nothing twice that sees no picture: the answers are the same bits.

    These are `PARTS`, and the keys and values of the prompt's tokens in each cross-attention. Only on the
    processor. Elsewhere to read the numbers is to wait for the device, and a changed module is not recorded
    as a graph; nor would what compiles, converts or wraps a UNet gain from it.
    """
    unet = _plain(state[PLACED]["unet"])
    if unet is None:
        return
    for part in [getattr(unet, name, None) for name in PARTS]:
        _put(state, part, remembering)
    for part in text_layers(unet):
        _put(state, part, remembering_last)


def text_layers(unet: "Module") -> "Iterator[Module]":
    """What makes keys and values of the prompt's tokens, as they are."""
    for part in unet.modules():
        if getattr(part, "is_cross_attention", False) and part.norm_cross is None:
            yield from (part.to_k, part.to_v)


def _put(state: State, part: Any, around: "Callable[[Callable[..., Tensor]], Callable[..., Tensor]]") -> None:
    if part is not None and "forward" not in vars(part):
        part.forward = around(part.forward)
        state[JOB].undos.callback(delattr, part, "forward")


def remembering(compute: "Callable[..., Tensor]") -> "Callable[..., Tensor]":
    """`compute`, which keeps its `MOST` newest answers by the bits of what it was given."""
    known: OrderedDict[Hashable, Tensor] = OrderedDict()

    def remembered(*given: "Tensor | None") -> "Tensor":
        key = tuple(map(_bits, given))
        if key not in known:
            known[key] = compute(*given)
            if len(known) > MOST:
                known.popitem(last=False)
        return known[key]

    return remembered


def remembering_last(compute: "Callable[[Tensor], Tensor]") -> "Callable[[Tensor], Tensor]":
    """`compute`, which gives its last answer again for the same text.

    One is enough: images of one prompt share it, and one of many prompts would take too much room.
    """
    text = answer = None

    def remembered(given: "Tensor") -> "Tensor":
        nonlocal text, answer
        if answer is None or not (given is text or (given.dtype == text.dtype and given.equal(text))):
            text, answer = given, compute(given)
        return answer

    return remembered


def _plain(placed: Placed) -> "Module | None":
    """The UNet that is called on the processor with nothing in between; None where that is not so."""
    if not isinstance(placed, TorchModule) or placed.home != "cpu" or not placed.direct:
        return None
    for part in placed.module.modules():
        if "forward" in vars(part):
            return None
        if hasattr(part, PARTS[0]):
            return part
    return None


def _bits(array: "Tensor | None") -> Any:
    import torch

    if array is None:
        return None
    return array.shape, array.dtype, array.contiguous().view(torch.uint8).numpy().tobytes()
