"""Merge tokens into those that are most like them, and hand the results back to all of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

STEP = 2
"""Of each square of so many tokens a side, the first is one that others are merged into."""


def around(
    tokens: "Tensor", size: tuple[int, int], attend: "Callable[[Tensor], Tensor]", *, ratio: float
) -> "Tensor":
    """Attention on the tokens (rows, height · width, channels) left when `ratio` of them is merged."""
    left, others = places(size)
    count = min(len(others), int(tokens.shape[1] * ratio))
    if not count or not len(left):
        return attend(tokens)
    left, others = left.to(tokens.device), others.to(tokens.device)
    kept, merged, into = matched(tokens, left, others, count)
    return unmerged(
        attend(merge(tokens, left, kept, merged, into)), left, kept, merged, into, tokens.shape[1]
    )


def places(size: tuple[int, int]) -> "tuple[Tensor, Tensor]":
    """Indices of the tokens that others are merged into, and of the others."""
    import torch

    rows, columns = size
    first = torch.zeros(rows, columns, dtype=torch.bool)
    first[: rows // STEP * STEP : STEP, : columns // STEP * STEP : STEP] = True
    return first.flatten().nonzero().flatten(), (~first).flatten().nonzero().flatten()


def matched(
    tokens: "Tensor", left: "Tensor", others: "Tensor", count: int
) -> "tuple[Tensor, Tensor, Tensor]":
    """The others that are kept, the `count` that are merged, and the position in `left` of what takes each.

    Those are merged whose cosine to the most similar token is largest.
    """
    directions = tokens / tokens.norm(dim=-1, keepdim=True)
    best, into = (directions[:, others] @ directions[:, left].mT).max(dim=-1)
    order = best.argsort(dim=-1, descending=True, stable=True)
    merged = order[:, :count]
    return others[order[:, count:]], others[merged], into.gather(1, merged)


def merge(tokens: "Tensor", left: "Tensor", kept: "Tensor", merged: "Tensor", into: "Tensor") -> "Tensor":
    """The kept tokens, and then the means of what was merged with what it was merged into."""
    import torch

    means = tokens[:, left].scatter_reduce(1, _wide(into, tokens), _take(tokens, merged), reduce="mean")
    return torch.cat([_take(tokens, kept), means], dim=1)


def unmerged(
    results: "Tensor", left: "Tensor", kept: "Tensor", merged: "Tensor", into: "Tensor", count: int
) -> "Tensor":
    """`count` tokens again: each gets the result of what it was merged into."""
    own, means = results[:, : kept.shape[1]], results[:, kept.shape[1] :]
    out = results.new_empty(results.shape[0], count, results.shape[2])
    out[:, left] = means
    out.scatter_(1, _wide(kept, results), own)
    return out.scatter_(1, _wide(merged, results), _take(means, into))


def _take(tokens: "Tensor", at: "Tensor") -> "Tensor":
    return tokens.gather(1, _wide(at, tokens))


def _wide(at: "Tensor", tokens: "Tensor") -> "Tensor":
    return at[..., None].expand(*at.shape, tokens.shape[2])
