"""Change how the self-attention of a UNet sees its tokens, for optimizers, and undo that."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from latentry.errors import Unavailable
from latentry.types import Component, Device, Undo
from latentry_sdk.torch_device import TorchDevice

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

Attend = Callable[["Tensor"], "Tensor"]
"""What self-attention makes of tokens (rows, tokens, width): as many, in their order."""

Around = Callable[["Tensor", tuple[int, int], Attend], "Tensor"]
"""`around(tokens, (height, width), attend)`: tokens, row by row, and the attention to be used on them."""


def change_self_attention(
    component: Component, device: Device, name: str, chosen: Callable[[int], Around | None]
) -> tuple[Component, Undo]:
    """Put `chosen(level)` around the self-attention of a UNet's levels; the undo takes all of it away.

    Level 0 is the finest that has attention: latents' own size in Stable Diffusion 1, half of that in SDXL.
    `Unavailable` where the device converts modules, or where no attention is changed; `name` says for whom.
    """
    if not isinstance(device, TorchDevice):
        raise Unavailable(
            f"{name} changes how torch calls {component.name}, and its device converts it",
            fix=f"leave {name} out, or place {component.name} on a device that runs torch modules",
        )
    spots = [
        (transformer, block.attn1, around)
        for level, transformer in transformers(component.module)
        for block in transformer.transformer_blocks
        if (around := chosen(level)) is not None
    ]
    if not spots:
        raise Unavailable(f"{component.name} has no self-attention that {name} could change")
    undos = ExitStack()
    for spot in spots:
        undos.callback(_put(*spot))
    return component, undos.close


def transformers(module: "Module") -> Iterator[tuple[int, Any]]:
    """The transformers in the downward and upward half of a UNet, with their level; the middle has none."""
    halves = ("down_blocks", "up_blocks")
    unet: Any = next((part for part in module.modules() if all(hasattr(part, half) for half in halves)), None)
    if unet is None:
        return
    down = list(enumerate(unet.down_blocks))
    up = list(enumerate(reversed(unet.up_blocks)))
    found = [
        (at, transformer)
        for at, block in (*down, *up)
        for transformer in getattr(block, "attentions", ())
        if hasattr(transformer, "transformer_blocks")
    ]
    finest = min((at for at, _ in found), default=0)
    yield from ((at - finest, transformer) for at, transformer in found)


class _Spot:
    """One self-attention with something around it. A copy of the module gets one of its own."""

    def __init__(self, attention: Any, around: Around) -> None:
        self.attention, self.around = attention, around
        self.before = vars(attention).get("forward")
        self.size = (0, 0)

    def see(self, _module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Note the size of what comes into the transformer."""
        rows, columns = (arguments[0] if arguments else keywords["hidden_states"]).shape[-2:]
        self.size = int(rows), int(columns)

    def __call__(
        self,
        hidden_states: "Tensor",
        encoder_hidden_states: Any = None,
        attention_mask: Any = None,
        **rest: Any,
    ) -> Any:
        rows, columns = self.size
        plain = encoder_hidden_states is None and attention_mask is None
        if not plain or hidden_states.shape[1] != rows * columns:
            return self._attend(hidden_states, encoder_hidden_states, attention_mask, **rest)
        return self.around(hidden_states, self.size, lambda tokens: self._attend(tokens, **rest))

    def _attend(self, *arguments: Any, **rest: Any) -> Any:
        if self.before is not None:
            return self.before(*arguments, **rest)
        return type(self.attention).forward(self.attention, *arguments, **rest)


def _put(transformer: Any, attention: Any, around: Around) -> Undo:
    spot = _Spot(attention, around)
    handle = transformer.register_forward_pre_hook(spot.see, with_kwargs=True)
    attention.forward = spot

    def undo() -> None:
        handle.remove()
        if spot.before is None:
            del attention.forward
        else:
            attention.forward = spot.before

    return undo
