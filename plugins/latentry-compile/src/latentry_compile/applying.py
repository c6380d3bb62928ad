"""Have a component's module compile itself where and when it is first called."""

from collections.abc import Callable
from contextlib import ExitStack
from types import MethodType
from typing import TYPE_CHECKING, Any

from latentry_compile.backends import check_backend
from latentry_compile.calling import Compiled
from latentry_compile.folders import keep_programs_in
from latentry_compile.options import CompileOptions
from latentry_sdk import Component, Device, Unavailable, Undo
from latentry_sdk.torch_device import TorchDevice

if TYPE_CHECKING:
    from torch.nn import Module


def apply(component: Component, device: Device, options: CompileOptions) -> tuple[Component, Undo]:
    """The component, whose module has a `forward` of its own until the undo takes it away."""
    if not isinstance(device, TorchDevice):
        raise Unavailable(
            f"compile changes how torch calls {component.name}, and its device converts it",
            fix=f"leave compile out, or place {component.name} on a device that runs torch modules",
        )
    check_backend(options)
    module: Module = component.module
    before = vars(module).get("forward")
    compiled = Compiled(before or MethodType(type(module).forward, module), options)
    module.forward = compiled
    forget = keep_programs_in(options.cache)

    undos = ExitStack()  # each runs once, however often it is closed
    undos.callback(forget)
    undos.callback(restore_forward, module, before)
    undos.callback(compiled.close)
    return component, undos.close


def restore_forward(module: "Module", before: Callable[..., Any] | None) -> None:
    """Give the module the `forward` of its own that it had, or none."""
    if before is None:
        del module.forward
    else:
        module.forward = before
