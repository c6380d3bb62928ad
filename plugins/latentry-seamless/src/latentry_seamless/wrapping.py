"""Convolutions on a torus: what they pad with comes from the opposite edge.

Normalization, attention and interpolation by whole factors treat all places alike, so that a model whose
convolutions do so, too, gives a picture rolled around its edges for noise rolled as far, by multiples of its
longest stride.
"""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from latentry_sdk import Undo

if TYPE_CHECKING:
    from diffusers.models.downsampling import Downsample2D
    from torch.nn import Conv2d, Module


def wrap(module: "Module", *, x: bool, y: bool) -> Undo:
    """Pad every convolution in `module` from the opposite edge: of its rows for `x`, of its columns for `y`.

    In the other direction it pads with zeros as before. The undo leaves nothing behind.
    """
    from diffusers.models.downsampling import Downsample2D
    from torch.nn import Conv2d

    with ExitStack() as undos:
        for part in module.modules():
            if isinstance(part, Conv2d) and part.padding_mode == "zeros":
                undos.callback(_wrapped(part, x=x, y=y))
            if isinstance(part, Downsample2D) and part.use_conv and part.padding == 0:
                undos.callback(_wrapped_end(part, x=x, y=y))
        return undos.pop_all().close


def _wrapped(conv: "Conv2d", *, x: bool, y: bool) -> Undo:
    """Pad before the convolution, which then pads that much less."""
    from torch.nn.functional import pad

    before = conv.padding
    assert isinstance(before, tuple)
    rows, columns = before
    wide, high = columns * x, rows * y

    def around(_conv: "Module", arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        values, *more = arguments
        return pad(values, (wide, wide, high, high), mode="circular"), *more

    def undo() -> None:
        handle.remove()
        conv.padding = before

    handle = conv.register_forward_pre_hook(around)
    conv.padding = rows - high, columns - wide
    return undo


def _wrapped_end(layer: "Downsample2D", *, x: bool, y: bool) -> Undo:
    """Fill the last column and row, which a VAE's downsampling adds by itself, from the first ones."""

    def around(_conv: "Module", arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        values, *more = arguments
        values = values.clone()
        if x:
            values[..., -1] = values[..., 0]
        if y:
            values[..., -1, :] = values[..., 0, :]
        return values, *more

    undo: Undo = layer.conv.register_forward_pre_hook(around).remove
    return undo
