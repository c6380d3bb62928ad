"""Keep what a UNet's inner levels made, and leave these levels out while that is used."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from latentry_sdk import Component, Device, Unavailable, Undo
from latentry_sdk.torch_device import TorchDevice

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


class Features:
    """Calls a UNet, and knows which of its calls may use features of an earlier one.

    A lower timestep than before is the next step. In a step, the images come in the same order: each has its
    own features, by its place. A higher timestep begins anew.
    """

    def __init__(self, unet: Any, every: int) -> None:
        self.unet, self.every = unet, every
        self.reset()

    def reset(self) -> None:
        """Forget all features."""
        self.time: float | None = None
        self.step, self.place = -1, 0
        self.kept: dict[int, Tensor] = {}
        self.used: Tensor | None = None

    def __call__(self, sample: "Tensor", timestep: Any, *rest: Any, **named: Any) -> Any:
        """What the UNet gives, by kept features where the step is one for them."""
        self._move_on(float(timestep.flatten()[0]) if hasattr(timestep, "flatten") else float(timestep))
        kept = self.kept.get(self.place)
        fits = kept is not None and kept.shape[0] == sample.shape[0] and kept.shape[2:] == sample.shape[2:]
        self.used = kept if self.step % self.every and fits else None
        try:
            return type(self.unet).forward(self.unet, sample, timestep, *rest, **named)
        finally:
            self.used = None

    def _move_on(self, now: float) -> None:
        if self.time is None or now > self.time:
            self.reset()
        self.step, self.place = (self.step, self.place + 1) if now == self.time else (self.step + 1, 0)
        self.time = now


class Inner:
    """A block of the inner levels, which is left out while kept features are used.

    `last` is the one whose results are kept; those of the others only the inner levels read, so then anything
    of the right form does for them: `extra` is how many tensors a block gives beside its main one.
    """

    def __init__(
        self, block: Any, features: Features, *, extra: int | None = None, last: bool = False
    ) -> None:
        self.block, self.features, self.extra, self.last = block, features, extra, last

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The block's results, or a stand-in."""
        features = self.features
        if features.used is None:
            made = type(self.block).forward(self.block, *arguments, **named)
            if self.last:
                features.kept[features.place] = made
            return made
        if self.last:
            return features.used
        given = arguments[0] if arguments else named["hidden_states"]
        return given if self.extra is None else (given, (given,) * self.extra)


def install(component: Component, device: Device, *, every: int, levels: int) -> Undo:
    """Have the component's UNet use features again; `Unavailable` where that cannot be done."""
    unet: Any = next((part for part in component.module.modules() if hasattr(part, "mid_block")), None)
    if not isinstance(device, TorchDevice):
        raise Unavailable(
            f"deepcache leaves out parts of {component.name} at times, and its device converts it as a whole",
            fix=f"leave deepcache out, or place {component.name} on a device that runs torch modules",
        )
    if unet is None or len(unet.up_blocks) <= levels:
        raise Unavailable(
            f"{component.name} has no levels within the outer {levels}", fix="ask for fewer levels"
        )
    if any("forward" in vars(part) for part in (unet, *unet.children(), *unet.down_blocks, *unet.up_blocks)):
        raise Unavailable("another optimizer has changed the UNet's blocks", fix="name deepcache before it")
    features, undos = Features(unet, every), ExitStack()
    undos.callback(_put(unet, features))
    for block in unet.down_blocks[levels:]:
        extra = len(block.resnets) + len(block.downsamplers or ())
        undos.callback(_put(block, Inner(block, features, extra=extra)))
    *above, last = unet.up_blocks[:-levels]
    for block in (unet.mid_block, *above):
        undos.callback(_put(block, Inner(block, features)))
    undos.callback(_put(last, Inner(last, features, last=True)))
    return undos.close


def forget(module: "Module") -> None:
    """Forget the features that the UNet in `module` keeps."""
    for part in module.modules():
        found = vars(part).get("forward")
        if isinstance(found, Features):
            found.reset()


def _put(module: Any, forward: Any) -> Undo:
    module.forward = forward

    def undo() -> None:
        del module.forward

    return undo
