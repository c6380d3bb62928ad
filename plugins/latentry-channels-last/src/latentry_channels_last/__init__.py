"""Convolution weights in channels-last order: other kernels, the same numbers but for rounding."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from latentry_sdk import Component, Device, Footprint, OptimizerSpec, Unavailable, Undo, Work, hookimpl

if TYPE_CHECKING:
    from torch.nn import Module

PARTS = frozenset({"unet", "vae_encoder", "vae_decoder"})


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """The optimizer `channels-last`, used only where it is named: some machines gain by it, some lose."""
    return [
        OptimizerSpec(
            "channels-last",
            parts=PARTS,
            estimate=unchanged,
            apply=reorder,
            error=1e-4,
            description="Convolution weights in channels-last order",
        )
    ]


def unchanged(footprint: Footprint, _work: Work) -> Footprint:
    """The weights are as large in either order."""
    return footprint


def reorder(component: Component, device: Device) -> tuple[Component, Undo]:
    """The component with filters in channels-last order, which their results then have too."""
    import torch

    from latentry_sdk.torch_device import TorchDevice

    if not isinstance(device, TorchDevice):
        raise Unavailable(
            f"channels-last orders torch's weights, and the device of {component.name} converts them",
            fix=f"leave it out, or place {component.name} on a device that runs torch modules",
        )
    filters = [weight for weight in component.module.parameters() if weight.dim() == 4]
    if not filters:
        raise Unavailable(f"{component.name} has no filters of its own to reorder")
    before = [weight.stride() for weight in filters]
    set_order(component.module, torch.channels_last)
    return component, partial(set_strides, filters, before)


def set_order(module: "Module", order: Any) -> None:
    """Lay out each filter anew; its numbers stay."""
    for weight in module.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=order)


def set_strides(filters: Sequence[Any], strides: Sequence[tuple[int, ...]]) -> None:
    """Lay out each filter as it was."""
    for weight, stride in zip(filters, strides, strict=True):
        laid_out = weight.data.new_empty(0).new_empty_strided(weight.shape, stride)
        weight.data = laid_out.copy_(weight.data)
