"""Processors that call others, and change how attention is computed meanwhile, without patching torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.overrides import TorchFunctionMode

KERNELS = {"flash": "FLASH_ATTENTION", "efficient": "EFFICIENT_ATTENTION", "cudnn": "CUDNN_ATTENTION",
           "math": "MATH"}  # fmt: skip


@dataclass(frozen=True)
class Sliced:
    """Calls `inner`, whose attention is computed for so many queries that scores take `most` bytes."""

    inner: Any
    most: int

    def __call__(self, attn: Any, *arrays: Any, **named: Any) -> Any:
        """What `inner` gives."""
        with _slicing(self.most):
            return self.inner(attn, *arrays, **named)


@dataclass(frozen=True)
class Chosen:
    """Calls `inner`, whose attention is computed by `kernel`."""

    inner: Any
    kernel: str

    def __call__(self, attn: Any, *arrays: Any, **named: Any) -> Any:
        """What `inner` gives; torch raises where the kernel cannot do it."""
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with sdpa_kernel(getattr(SDPBackend, KERNELS[self.kernel])):
            return self.inner(attn, *arrays, **named)


def _slicing(most: int) -> "TorchFunctionMode":
    """The mode in which torch's attention is called for some queries after the others."""
    import torch
    from torch.overrides import TorchFunctionMode

    attention = torch.nn.functional.scaled_dot_product_attention

    class Slicing(TorchFunctionMode):
        def __torch_function__(self, func: Any, _types: Any, given: Any = (), named: Any = None) -> Any:
            if func is attention:
                return sliced(*given, most=most, **(named or {}))
            return func(*given, **(named or {}))

    return Slicing()


def sliced(
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    attn_mask: "Tensor | None" = None,
    *,
    most: int,
    **named: Any,
) -> "Tensor":
    """Attention of (…, tokens, width), in parts of the queries; each row is as it would be among all.

    A causal one is computed whole: its mask is counted from the first query.
    """
    from torch.nn.functional import scaled_dot_product_attention

    tokens, rows = query.shape[-2], query.numel() // query.shape[-1]
    at_once = max(most * tokens // max(rows * key.shape[-2] * query.element_size(), 1), 1)
    if at_once >= tokens or named.get("is_causal"):
        return scaled_dot_product_attention(query, key, value, attn_mask, **named)
    found = query.new_empty(*query.shape[:-1], value.shape[-1])
    for start in range(0, tokens, at_once):
        part = slice(start, start + at_once)
        mask = attn_mask if attn_mask is None or attn_mask.shape[-2] == 1 else attn_mask[..., part, :]
        found[..., part, :] = scaled_dot_product_attention(query[..., part, :], key, value, mask, **named)
    return found
