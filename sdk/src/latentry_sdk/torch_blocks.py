"""Cut a torch module into the blocks that offloading moves as one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.nn import Module

Block = tuple["Module", list["Module"]]
"""The module in whose call the weights are needed, and the modules that hold them."""


def blocks(module: "Module", *, layers: bool = False) -> list[Block]:
    """The blocks of a module, which together have all its weights.

    A block is one of several alike in a list, as residual blocks, transformer layers and attentions are, if
    no such list is in it; what is in none is a block of one layer. With `layers` every layer is one.
    """
    cut = _cut(module, set(), layers=layers, listed=False)
    return [(called, holders) for called, holders in cut if any(map(_holds, holders))]


def largest_block(module: "Module") -> int:
    """Bytes of the largest block that moves: of tables, such as word embeddings, only rows are looked up."""
    moved = (holders for called, holders in blocks(module) if not is_table(called))
    return max(map(block_bytes, moved), default=0)


def is_table(module: "Module") -> bool:
    """Whether a call gives rows of a table, which can be looked up where the table rests."""
    from torch.nn import Embedding

    return type(module) is Embedding


def block_bytes(holders: "list[Module]") -> int:
    """Bytes of what some modules hold themselves, each tensor once."""
    found = {
        id(tensor): tensor.numel() * tensor.element_size()
        for holder in holders
        for held in (holder._parameters, holder._buffers)
        for tensor in held.values()
        if tensor is not None
    }
    return sum(found.values())


def _cut(module: "Module", seen: set[int], *, layers: bool, listed: bool) -> Iterator[Block]:
    if id(module) in seen:
        return
    if listed and not layers and not any(map(_is_list, module.modules())):
        holders = [part for part in module.modules() if id(part) not in seen]
        seen.update(map(id, holders))
        yield module, holders
        return
    seen.add(id(module))
    yield module, [module]
    for child in module.children():
        yield from _cut(child, seen, layers=layers, listed=_is_list(module))


def _is_list(module: "Module") -> bool:
    """A list of modules of one kind; a block's parts of different kinds are listed too."""
    from torch.nn import ModuleList

    return isinstance(module, ModuleList) and len({type(child) for child in module}) == 1


def _holds(module: "Module") -> bool:
    return any(
        tensor is not None for held in (module._parameters, module._buffers) for tensor in held.values()
    )
