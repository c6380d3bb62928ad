"""How far the results of torch modules are from one another."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def relative(found: Any, wanted: Any) -> float:
    """|found - wanted| / |wanted| in L2 over all arrays, in float64; infinite for other shapes or a NaN."""
    import torch

    left, right = _arrays(found), _arrays(wanted)
    if [array.shape for array in left] != [array.shape for array in right]:
        return float("inf")
    off, scale = (
        torch.stack([torch.linalg.vector_norm(array) for array in arrays]).norm().item()
        for arrays in ([a - b for a, b in zip(left, right, strict=True)], right)
    )
    return off / (scale or 1.0) if off == off else float("inf")


def identical(found: Any, wanted: Any) -> bool:
    """Whether two results are the same to the bit."""
    import torch

    left, right = _parts(found), _parts(wanted)
    return len(left) == len(right) and all(map(torch.equal, left, right))


def _arrays(value: Any) -> list["Tensor"]:
    return [part.detach().cpu().double() for part in _parts(value)]


def _parts(value: Any) -> list["Tensor"]:
    return list(value) if isinstance(value, tuple | list) else [value]
