"""Ask whether an engine gives torch's numbers: a trace that has frozen a shape does not."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from latentry.types import Component
from latentry_sdk.torch_copies import changing

if TYPE_CHECKING:
    from torch import Tensor

Arrays = tuple["Tensor", ...]
Call = Callable[[Sequence["Tensor"]], Sequence["Tensor"]]
"""An engine that gives its outputs as a list."""


def agrees(engine: Call, module: Any, cases: Sequence[Arrays], limit: float) -> bool:
    """Whether the engine gives torch's numbers in each case that torch can do.

    `limit` is the relative error, in the Euclidean norm, up to which numbers are equal.
    """
    for arrays in cases:
        expected = answer(module, arrays)
        if expected is not None and not _close(engine, arrays, expected, limit):
            return False
    return True


def answer(module: Any, arrays: Arrays) -> Any:
    """What torch gives, or None where it cannot do these shapes."""
    try:
        return module(*arrays)
    except (RuntimeError, ValueError, IndexError):
        return None


@contextmanager
def plain_torch(component: Component, arrays: Sequence["Tensor"]) -> Iterator[tuple[Any, Arrays]]:
    """The module in float32 on the CPU and copies of the arguments, outside of inference mode."""
    import torch

    with changing(component.module):
        module = component.module.to("cpu", torch.float32).eval()
    with torch.inference_mode(False), torch.no_grad():
        copies = (array.detach().to("cpu").clone() for array in arrays)
        yield module, tuple(copy.float() if copy.is_floating_point() else copy for copy in copies)


def _close(engine: Call, arrays: Arrays, expected: Any, limit: float) -> bool:
    try:
        found = engine(arrays)
    except RuntimeError:
        return False
    wanted = list(expected) if isinstance(expected, tuple) else [expected]
    pairs = list(zip(found, wanted, strict=False))
    return len(found) == len(wanted) and all(
        a.shape == b.shape and float((a - b).norm()) <= limit * float(b.norm()) + 1e-12
        for a, b in ((a.double(), b.double()) for a, b in pairs)
    )
