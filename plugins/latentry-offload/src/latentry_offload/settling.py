"""Settle a module that is managed itself before its weights are moved."""

from typing import TYPE_CHECKING

from latentry_sdk.managed import Settling

if TYPE_CHECKING:
    import torch


def settled_inside(module: "torch.nn.Module", dtype: "torch.dtype | None") -> "torch.dtype | None":
    """The type for the module's weights; None for a managed one, which is on the host then, in its own."""
    if isinstance(module, Settling):
        module.settle("cpu", dtype)
        return None
    return dtype
