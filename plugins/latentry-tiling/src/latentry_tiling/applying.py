"""Have the halves of a VAE call their work in pieces, and take it back."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from latentry_sdk import Component, Device, Unavailable, Undo

if TYPE_CHECKING:
    from torch.nn import Module


def apply_tiling(component: Component, _device: Device, *, tile: int, halo: int) -> tuple[Component, Undo]:
    """The component whose VAE of diffusers works in pieces; `Unavailable` for another."""
    from latentry_tiling.halves import half_in
    from latentry_tiling.tiles import Tiled

    if (half := half_in(component.module)) is None:
        raise Unavailable(f"{component.name} is no AutoencoderKL of diffusers", fix="leave vae-tiling out")
    tiled = Tiled(half, tile=tile, halo=halo)
    undo = called_instead(half.module, tiled)
    return _changed(component, f"tiled-{tile}-{halo}"), undo


def apply_slicing(component: Component, _device: Device) -> tuple[Component, Undo]:
    """The component that works on one picture of a batch at a time."""
    from latentry_tiling.slices import Sliced

    undo = called_instead(component.module, Sliced(component.module, vars(component.module).get("forward")))
    return _changed(component, "sliced"), undo


def called_instead(module: "Module", call: Callable[..., Any]) -> Undo:
    """Have the module's `forward` be `call`, which must survive copies of the module; may be undone twice."""
    before = vars(module).get("forward")
    module.forward = call
    return partial(_give_back, module, before)


def _give_back(module: "Module", before: Callable[..., Any] | None) -> None:
    vars(module).pop("forward", None)
    if before is not None:
        module.forward = before


def _changed(component: Component, how: str) -> Component:
    """The same with a digest of its own: engines keep what they convert by it."""
    return replace(component, digest=lambda: f"{component.digest()}-{how}")
