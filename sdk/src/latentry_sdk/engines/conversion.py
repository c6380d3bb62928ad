"""Convert a component for an engine, and find out for which arguments the result holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry.errors import Unavailable
from latentry.types import Component
from latentry_sdk.engines.agreement import Arrays, Call, agrees, answer, plain_torch
from latentry_sdk.engines.shapes import Shapes, Signature, halved, shapes, signature, stretched

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Converted:
    """An engine's model, made from arguments of these `shapes` and of this `signature`.

    `many` says that it gives a tuple; `general` that it holds for any batch and size of that signature, or
    else only for those shapes.
    """

    model: Any
    many: bool
    general: bool
    shapes: Shapes
    signature: Signature

    def takes(self, arrays: Sequence["Tensor"]) -> bool:
        """Whether it gives the right numbers for arguments of these shapes and kinds."""
        return signature(arrays) == self.signature and (self.general or shapes(arrays) == self.shapes)


Trace = Callable[[Any, Arrays, bool], Any]
"""`trace(module, arrays, general)`: the engine's model; raises `Unavailable` where it cannot be made.

`general` says that batch and size shall stay open.
"""
Build = Callable[[Converted], Call]


def convert(
    component: Component, arrays: Sequence["Tensor"], *, trace: Trace, build: Build, limit: float
) -> Converted:
    """The component, traced so that it takes other batches and sizes too where that gives torch's numbers.

    `build` compiles what is to be tried; `limit` is the relative error up to which numbers are equal.
    """
    with plain_torch(component, arrays) as (module, given):
        wide = stretched(given)
        for traced in (wide, given):
            found = _open(trace, module, traced)
            if found and agrees(build(found), module, (wide, given, halved(given)), limit):
                return found
        return _converted(trace(module, given, False), module, given, general=False)


def _open(trace: Trace, module: Any, arrays: Arrays) -> Converted | None:
    """A trace with open sizes; None where torch cannot do these shapes, or they cannot be left open."""
    if answer(module, arrays) is None:
        return None
    try:
        return _converted(trace(module, arrays, True), module, arrays, general=True)
    except Unavailable:
        return None


def _converted(model: Any, module: Any, arrays: Arrays, *, general: bool) -> Converted:
    many = isinstance(answer(module, arrays), tuple)
    return Converted(model, many, general, shapes(arrays), signature(arrays))
