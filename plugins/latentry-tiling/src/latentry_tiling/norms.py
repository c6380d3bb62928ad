"""Group norms that take their statistics from elsewhere than what they are called with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import GroupNorm, Module

    Moments = tuple[Tensor, Tensor]
    """Mean and variance of each group."""


def group_norms(modules: "Sequence[Module]") -> "list[GroupNorm]":
    """All in these modules, in their order."""
    from torch.nn import GroupNorm

    return [part for module in modules for part in module.modules() if isinstance(part, GroupNorm)]


def measured(norms: "Sequence[GroupNorm]", call: Callable[[], object]) -> "Mapping[GroupNorm, Moments]":
    """The statistics of what each norm is called with in a call, for one picture."""
    found: dict[GroupNorm, Moments] = {}
    with ExitStack() as hooks:
        for norm in norms:
            hooks.callback(
                norm.register_forward_pre_hook(lambda norm, given: _note(found, norm, *given)).remove
            )
        call()
    return found


@contextmanager
def given(moments: "Mapping[GroupNorm, Moments]") -> Iterator[None]:
    """Have norms use these statistics instead of their own."""
    with ExitStack() as back:
        for norm, (mean, variance) in moments.items():
            vars(norm)["forward"] = partial(_normed, norm, mean, variance)
            back.callback(vars(norm).pop, "forward", None)
        yield


def _note(found: "dict[GroupNorm, Moments]", norm: "GroupNorm", values: "Tensor") -> None:
    """Group by group, so that no second copy in float32 is made of all values."""
    import torch

    groups = [torch.var_mean(part.float(), correction=0) for part in values.reshape(norm.num_groups, -1)]
    found[norm] = torch.stack([mean for _, mean in groups]), torch.stack([variance for variance, _ in groups])


def _normed(norm: "GroupNorm", mean: "Tensor", variance: "Tensor", values: "Tensor") -> "Tensor":
    """`(values - mean) / sqrt(variance + eps) * weight + bias`, with one factor and one offset a channel."""
    each = norm.num_channels // norm.num_groups
    factor = norm.weight.float() * (variance + norm.eps).rsqrt().repeat_interleave(each)
    offset = norm.bias.float() - mean.repeat_interleave(each) * factor
    scaled = values * factor.to(values.dtype)[:, None, None]
    return scaled.add_(offset.to(values.dtype)[:, None, None])
