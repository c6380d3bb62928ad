"""Lay the original over what the mask leaves out."""

from typing import TYPE_CHECKING

from latentry_inpaint.preparing import CONTENT, ORIGINAL, ORIGINAL_MASK, Size, resize
from latentry_sdk import IMAGES, State

if TYPE_CHECKING:
    from PIL.Image import Image


def composite(state: State) -> State:
    """Each picture at the original's size and mode, with the original's pixels outside the mask."""
    original, mask, content = state[ORIGINAL], state[ORIGINAL_MASK], state[CONTENT]
    return state.put(IMAGES, tuple(lay_over(made, original, mask, content) for made in state[IMAGES]))


def lay_over(made: "Image", original: "Image", mask: "Image", content: Size) -> "Image":
    """`original` where `mask` is 0, the content of `made` where it is 255, a linear blend between.

    The original's alpha stays everywhere.
    """
    from PIL import Image

    painted = resize(made.convert("RGB").crop((0, 0, *content)), original.size)
    blended = Image.composite(painted, original.convert("RGB"), mask)
    if original.mode == "RGBA":
        blended.putalpha(original.getchannel("A"))
    return blended
