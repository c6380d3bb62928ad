"""Lay the original over what the mask leaves out."""

from typing import TYPE_CHECKING

from latentry_inpaint.framing import Frame
from latentry_inpaint.preparing import CHANGE, FRAME, ORIGINAL
from latentry_sdk import IMAGES, State
from latentry_sdk.pictures import resized

if TYPE_CHECKING:
    from PIL.Image import Image


def composite(state: State) -> State:
    """Each picture at the original's size and mode, with the original's pixels outside the mask."""
    original, change, frame = state[ORIGINAL], state[CHANGE], state[FRAME]
    return state.put(IMAGES, tuple(lay_over(made, original, change, frame) for made in state[IMAGES]))


def lay_over(made: "Image", original: "Image", change: "Image", frame: Frame) -> "Image":
    """`original` where `change` is 0, what the frame holds of `made` where it is 255, a linear blend between.

    The original's alpha stays everywhere.
    """
    result = original.convert("RGB")
    painted = resized(made.convert("RGB").crop((0, 0, *frame.content)), frame.extent)
    result.paste(painted, frame.box, change.crop(frame.box))
    if original.mode == "RGBA":
        result.putalpha(original.getchannel("A"))
    return result
