"""Count the work of a component's call from shapes alone: no number is computed, no memory taken for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from latentry_sdk import Component


@dataclass(frozen=True)
class CallWork:
    """Of one call: operations with floats, and values that pass between its layers."""

    flops: int
    values: int


@dataclass
class Tally:
    """Values that are read and written by what is counted."""

    values: int = 0
    heavy: "Mapping[Any, int]" = field(default_factory=dict)


def call_work(component: Component, shapes: str) -> CallWork:
    """The work of a call with arguments of these types and shapes, as `Counted` notes them.

    FLOPs are those of convolutions, matrix products and attention, by torch's own formulas: a product and a
    sum are two. Values are, for each of these operations, those of the arrays that it reads, without weights,
    and of the one that it writes: each passes once at least, and what lies between them can be computed in
    passing. Attention counts as one operation: queries, keys and values are read, no scores are written.
    The component's module is moved to torch's device `meta`, in float32 as `Counted` notes all floats, and is
    of no use afterwards.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    module = component.module.to("meta", torch.float32)
    arrays = [_array(*shape) for shape in json.loads(shapes)]
    counter, tally = FlopCounterMode(display=False), Tally(heavy=_heavy())
    with torch.inference_mode(), counter, _passing(tally):
        module(*arrays)
    return CallWork(counter.get_total_flops(), tally.values)


def _array(dtype: str, shape: list[int]) -> Any:
    import torch

    return torch.empty(shape, dtype=getattr(torch, dtype), device="meta")


def _heavy() -> Mapping[Any, int]:
    """The operations that count, each with the place of its first argument that is a weight or an option."""
    import torch
    from torch.nn import functional

    convolutions = (functional.conv1d, functional.conv2d, functional.conv3d, functional.conv_transpose2d)
    products = (torch.matmul, torch.bmm, torch.Tensor.matmul, torch.Tensor.bmm, torch.Tensor.__matmul__)
    return {
        functional.scaled_dot_product_attention: 3,
        functional.linear: 1,
        **dict.fromkeys(convolutions, 1),
        **dict.fromkeys(products, 2),
        torch.baddbmm: 3,
    }


def _passing(tally: Tally) -> Any:
    from torch import Tensor
    from torch.overrides import TorchFunctionMode

    class Passing(TorchFunctionMode):
        def __torch_function__(self, called: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = called(*args, **(kwargs or {}))
            if called in tally.heavy:
                read = [*args, *(kwargs or {}).values()][: tally.heavy[called]]
                tally.values += sum(each.numel() for each in read if isinstance(each, Tensor)) + found.numel()
            return found

    return Passing()
