"""Arguments of other batches and sizes, to trace with and to test a traced graph on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Signature = tuple[tuple[int, bool], ...]
Shapes = tuple[tuple[int, ...], ...]


def signature(arrays: Sequence["Tensor"]) -> Signature:
    """The number of dimensions of each array and whether it is floating: what a graph is fixed to."""
    return tuple((array.dim(), array.is_floating_point()) for array in arrays)


def shapes(arrays: Sequence["Tensor"]) -> Shapes:
    """The shape of each array."""
    return tuple(tuple(array.shape) for array in arrays)


def stretched(arrays: Sequence["Tensor"]) -> tuple["Tensor", ...]:
    """One image more, and an odd number of rows and columns.

    A UNet asks in Python whether its input halves evenly. A trace of an uneven one holds for both; a trace
    of an even one gives wrong numbers for uneven input, without an error.
    """
    import torch
    from torch.nn.functional import pad

    batch = arrays[0].shape[0] if arrays[0].dim() else 0

    def stretch(array: "Tensor") -> "Tensor":
        if array.dim() and array.shape[0] == batch:
            array = torch.cat([array, array[:1]])
        if array.dim() == 4:
            rows, columns = array.shape[2:]
            array = pad(array, (0, 1 - columns % 2, 0, 1 - rows % 2), mode="replicate")
        return array

    return tuple(stretch(array) for array in arrays)


def halved(arrays: Sequence["Tensor"]) -> tuple["Tensor", ...]:
    """Half the rows of every picture, so that it is not square."""
    return tuple(
        array[:, :, : max(1, array.shape[2] // 2)].contiguous() if array.dim() == 4 else array
        for array in arrays
    )
