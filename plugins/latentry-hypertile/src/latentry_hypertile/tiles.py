"""Cut tokens into tiles of one size, and lay them together again."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def around(
    tokens: "Tensor", size: tuple[int, int], attend: "Callable[[Tensor], Tensor]", *, least: int
) -> "Tensor":
    """Attention on each tile alone, of tokens (rows, height · width, channels).

    Tiles are as small as can be with sides of at least `least` that divide the picture's; where there is no
    such cut, the side stays whole.
    """
    down, across = (pieces(side, least) for side in size)
    if down * across == 1:
        return attend(tokens)
    (height, width), (rows, _, channels) = size, tokens.shape
    cut = tokens.reshape(rows, down, height // down, across, width // across, channels).transpose(2, 3)
    done = attend(cut.reshape(rows * down * across, -1, channels))
    back = done.reshape(rows, down, across, height // down, width // across, channels).transpose(2, 3)
    return back.reshape(rows, height * width, channels)


def pieces(side: int, least: int) -> int:
    """Into how many equal pieces of at least `least` a side can be cut, at most."""
    return next((side // part for part in range(least, side) if side % part == 0), 1)
