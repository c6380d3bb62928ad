"""Fit picture and mask to a size the model takes, and remember how they were."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from latentry_inpaint.extending import canvas
from latentry_inpaint.filling import filled
from latentry_inpaint.framing import Frame, framed
from latentry_inpaint.masks import effective, is_full, lifted, padded_black, resized_mask, whole
from latentry_inpaint.options import InpaintOptions
from latentry_sdk import INPUTS, JOB, MASK, SIGMAS, SIZE, SOURCE, InvalidInput, Job, Key, State
from latentry_sdk.noising import levels_left
from latentry_sdk.pictures import padded, resized, shown_size

if TYPE_CHECKING:
    from PIL.Image import Image

ORIGINAL = Key["Image"]("inpaint.original")
"""The input picture on its canvas, RGB or RGBA."""

CHANGE = Key["Image"]("inpaint.change")
"""How much of the result is painted, of the original's size: L, 255 = wholly. 0 is the original's own."""

FRAME = Key[Frame]("inpaint.frame")
"""Which part of the original the working copies hold."""


def prepare(state: State) -> State:
    """Working copies of picture and mask, in their frame.

    The noise levels that the strength leaves: a prompt's schedule is laid over the steps that run.
    """
    job, inputs = state[JOB], state[INPUTS]
    options = job.options(InpaintOptions)
    original = canvas(inputs["image"], options, job)
    change = effective(mask_of(inputs), options)
    tell(job, change, options)
    frame = framed(job, change, options)
    job.apply("size", list(frame.size))
    job.apply("frame", list(frame.box))
    source, small = working_copies(original, change, frame)
    if fills(small, options):
        source = filled(source, small)
    if options.differential:
        change, small = whole(change), lifted(small)
    state = state.put(SIGMAS, levels_left(state[SIGMAS], options.strength)).put(SIZE, frame.size)
    state = state.put(ORIGINAL, original).put(CHANGE, change).put(FRAME, frame)
    return state.put(SOURCE, source).put(MASK, small)


def mask_of(inputs: "Mapping[str, Image]") -> "Image":
    """The mask that was given, of the picture's size; a black one where none was."""
    from PIL import Image

    size = inputs["image"].size
    mask = inputs.get("mask") or Image.new("L", size)
    if mask.size != size:
        raise InvalidInput(f"the image is {shown_size(size)} pixels, the mask {shown_size(mask.size)}")
    return mask


def working_copies(original: "Image", change: "Image", frame: Frame) -> "tuple[Image, Image]":
    """What the frame holds of picture and mask, at its size; the padding repeats the picture and is kept."""
    source = resized(original.crop(frame.box).convert("RGB"), frame.content)
    small = resized_mask(change.crop(frame.box), frame.content)
    return padded(source, frame.size), padded_black(small, frame.size)


def tell(job: Job, change: "Image", options: InpaintOptions) -> None:
    """Warn of what was asked for and has no effect."""
    if change.getbbox() is None:
        job.warn("the mask is empty: no pixel is white, so the result equals the input")
    if "padding" in options.model_fields_set and not options.full_res:
        job.warn("padding has no effect without full_res")
    if options.content != "original" and options.strength == 1:
        job.warn(f"content {options.content} has no effect: strength 1 starts from noise alone")
    elif options.content == "fill" and is_full(change):
        job.warn("content fill has no effect: the mask leaves no surroundings to fill from")


def fills(mask: "Image", options: InpaintOptions) -> bool:
    """Whether there is something to fill from, and a start that shows it."""
    return options.content == "fill" and options.strength < 1 and not is_full(mask)
