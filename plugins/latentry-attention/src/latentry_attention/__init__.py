"""Attention in parts, or by a kernel that is named, through the processors of diffusers."""

from collections.abc import Sequence
from typing import Literal

from latentry_attention.applying import apply_backend, apply_slicing
from latentry_sdk import Count, Field, Footprint, OptimizerSpec, Options, Work, hookimpl

PARTS = frozenset({"unet", "vae_encoder", "vae_decoder"})
Kernel = Literal["auto", "flash", "efficient", "cudnn", "math"]


class SlicingOptions(Options):
    """How large a part is."""

    megabytes: Count = Field(64, ge=1, le=65536, description="What scores of attention may take at once")


class BackendOptions(Options):
    """Which of torch's kernels computes attention."""

    kernel: Kernel = Field("auto", description="The kernel; one that the device lacks is an error")


def sliced(footprint: Footprint, _work: Work, *, megabytes: int) -> Footprint:  # noqa: ARG001
    """As before: what is saved are scores, and planning does not know whether the device keeps any."""
    return footprint


def chosen(footprint: Footprint, _work: Work, *, kernel: str) -> Footprint:  # noqa: ARG001
    """As before."""
    return footprint


@hookimpl
def register_optimizers() -> Sequence[OptimizerSpec]:
    """Slicing, and the choice of a kernel."""
    return [
        OptimizerSpec(
            "attention-slicing", PARTS, sliced, apply_slicing, options=SlicingOptions, rung=30,
            description="Compute attention in parts",
        ),
        OptimizerSpec(
            "attention-backend", PARTS, chosen, apply_backend, options=BackendOptions,
            description="Compute attention by a kernel that is named",
        ),
    ]  # fmt: skip
