"""Find the blocks of a model that repeat, so that one program serves them all."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.nn import Module

NAMES = ("_repeated_blocks", "_no_split_modules")
"""Where diffusers lists the classes of such blocks, and where models list what is not to be divided."""


def repeated_blocks(module: "Module") -> "list[Module]":
    """The blocks whose class a model in `module` names and has more than once; not those inside them.

    diffusers' `compile_repeated_blocks` takes the same ones.
    """
    named = {name for part in module.modules() for name in _named(part)}
    found = list(_outermost(module, named))
    often = Counter(type(block) for block in found)
    return [block for block in found if often[type(block)] > 1]


def _named(model: "Module") -> Sequence[str]:
    return next((found for names in NAMES if (found := getattr(model, names, None))), ())


def _outermost(module: "Module", names: set[str]) -> "Iterator[Module]":
    for child in module.children():
        if type(child).__name__ in names:
            yield child
        else:
            yield from _outermost(child, names)
