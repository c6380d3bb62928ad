"""Lay the original over what the mask leaves out."""

from typing import TYPE_CHECKING

from latentry_inpaint.preparing import CHANGE, CONTENT, ORIGINAL
from latentry_sdk import IMAGES, State
from latentry_sdk.pictures import Size, resized

if TYPE_CHECKING:
    from PIL.Image import Image


def composite(state: State) -> State:
    """Each picture at the original's size and mode, with the original's pixels outside the mask."""
    original, change, content = state[ORIGINAL], state[CHANGE], state[CONTENT]
    return state.put(IMAGES, tuple(lay_over(made, original, change, content) for made in state[IMAGES]))


def lay_over(made: "Image", original: "Image", change: "Image", content: Size) -> "Image":
    """`original` where `change` is 0, the content of `made` where it is 255, a linear blend between.

    The original's alpha stays everywhere.
    """
    result = original.convert("RGB")
    result.paste(resized(made.convert("RGB").crop((0, 0, *content)), original.size), mask=change)
    if original.mode == "RGBA":
        result.putalpha(original.getchannel("A"))
    return result
