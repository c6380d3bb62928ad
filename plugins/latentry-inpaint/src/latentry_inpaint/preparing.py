"""Fit picture and mask to a size the model takes, and remember how they were."""

from typing import TYPE_CHECKING

from latentry_sdk import INPUTS, JOB, MASK, SIZE, SOURCE, InvalidInput, Job, Key, State

if TYPE_CHECKING:
    from PIL.Image import Image

Size = tuple[int, int]
LONGEST = 16384  # pixels: the limit of a request's own width and height

ORIGINAL = Key["Image"]("inpaint.original")
"""The input picture as it came, RGB or RGBA."""

ORIGINAL_MASK = Key["Image"]("inpaint.original_mask")
"""The input mask as it came: L, 255 = change, of the original's size."""

CONTENT = Key[Size]("inpaint.content")
"""How much of SIZE holds the picture, from the upper left corner; the rest is padding."""


def prepare(state: State) -> State:
    """Working copies of picture and mask: padded at their own size, or resized to the size asked for."""
    job, inputs = state[JOB], state[INPUTS]
    original, mask = inputs["image"], inputs["mask"]
    if original.size != mask.size:
        raise InvalidInput(f"the image is {_shown(original.size)} pixels, the mask {_shown(mask.size)}")
    if mask.getextrema() == (0, 0):
        job.warn("the mask is empty: no pixel is white, so the result equals the input")
    content = content_size(job, original.size)
    size = padded_size(content, job.plan.detected.multiple)
    job.apply("size", list(size))
    state = state.put(ORIGINAL, original).put(ORIGINAL_MASK, mask).put(CONTENT, content).put(SIZE, size)
    source = pad(resize(original.convert("RGB"), content), size)
    return state.put(SOURCE, source).put(MASK, pad_black(resize_mask(mask, content), size))


def content_size(job: Job, size: Size) -> Size:
    """The size asked for; where only one side is, the other keeps the aspect; else the picture's own."""
    request, multiple = job.plan.request, job.plan.detected.multiple
    width, height = request.width, request.height
    if width is None and height is None:
        return size
    wanted = (
        width or _rounded(size[0] * (height or 0) / size[1], multiple),
        height or _rounded(size[1] * (width or 0) / size[0], multiple),
    )
    if max(wanted) > LONGEST:
        raise InvalidInput(f"a picture of {_shown(size)} pixels would be worked at {_shown(wanted)}",
                           fix="give both width and height")  # fmt: skip
    return wanted


def padded_size(size: Size, multiple: int) -> Size:
    """Both sides raised to the next multiple."""
    return -(-size[0] // multiple) * multiple, -(-size[1] // multiple) * multiple


def resize(picture: "Image", size: Size) -> "Image":
    """The picture at another size."""
    from PIL.Image import Resampling

    return picture if picture.size == size else picture.resize(size, Resampling.LANCZOS)


def resize_mask(mask: "Image", size: Size) -> "Image":
    """The mask at another size: a hard one stays hard, a soft one soft."""
    from PIL.Image import Resampling

    if mask.size == size:
        return mask
    is_hard = not any(mask.histogram()[1:255])
    return mask.resize(size, Resampling.NEAREST if is_hard else Resampling.BILINEAR)


def pad(picture: "Image", size: Size) -> "Image":
    """The picture in the upper left corner, its last column and row repeated to the right and below."""
    (width, height), (wide, high) = picture.size, size
    if picture.size == size:
        return picture
    padded = picture.crop((0, 0, wide, high))
    column = picture.crop((width - 1, 0, width, height)).resize((wide - width or 1, height))
    if wide > width:
        padded.paste(column, (width, 0))
    if high > height:
        padded.paste(padded.crop((0, height - 1, wide, height)).resize((wide, high - height)), (0, height))
    return padded


def pad_black(mask: "Image", size: Size) -> "Image":
    """The mask in the upper left corner; what is beside and below does not change."""
    return mask if mask.size == size else mask.crop((0, 0, *size))


def _rounded(length: float, multiple: int) -> int:
    return max(round(length / multiple), 1) * multiple


def _shown(size: Size) -> str:
    return f"{size[0]} × {size[1]}"
