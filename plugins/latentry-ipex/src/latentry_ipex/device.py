"""Intel's extension, open: modules are copied, and the copies optimized."""

from functools import partial
from typing import TYPE_CHECKING, Any

from latentry_ipex.options import IpexOptions
from latentry_ipex.probing import DTYPES
from latentry_ipex.runtime import load_extension
from latentry_sdk import Memory, Unavailable
from latentry_sdk.machine import system_memory
from latentry_sdk.torch_device import TorchDevice, TorchPlace

if TYPE_CHECKING:
    import torch


def ipex_device(options: IpexOptions) -> TorchDevice:
    """The processor or GPU, used as `options` say."""
    return TorchDevice(ipex_place(options))


def ipex_place(options: IpexOptions) -> TorchPlace:
    """What sets it apart from other torch devices; `Unavailable` where the extension sees no GPU."""
    import torch

    extension = load_extension()
    on_gpu = options.target == "xpu"
    if on_gpu and not torch.xpu.is_available():
        raise Unavailable(f"the extension {extension.__version__} sees no GPU", fix="choose the target cpu")
    return TorchPlace(
        name="ipex",
        home=options.target,
        dtypes=DTYPES,
        memory=Memory if on_gpu else system_memory,
        empty=torch.xpu.empty_cache if on_gpu else lambda: None,
        doubles=not on_gpu,
        channels_last=options.channels_last,
        prepared=partial(optimized, extension, options.prepack),
    )


def optimized(
    extension: Any, prepack: bool, module: "torch.nn.Module", dtype: "torch.dtype"
) -> "torch.nn.Module":
    """The module, which is our own copy, changed in place by the extension for calls in `dtype`.

    It does not look for batch norms to fold: models here have none, and to find them it would trace the
    module, which freezes what the module's code decides from call to call.
    """
    found: torch.nn.Module = extension.optimize(
        module.eval(),
        dtype=dtype,
        inplace=True,
        weights_prepack=prepack,
        conv_bn_folding=False,
        linear_bn_folding=False,
    )
    return found
