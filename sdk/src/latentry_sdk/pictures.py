"""Fit pictures to the sizes that a model takes. A plugin that calls this depends on Pillow."""

from typing import TYPE_CHECKING

from latentry_sdk import InvalidInput, Job

if TYPE_CHECKING:
    from PIL.Image import Image

Size = tuple[int, int]
"""(width, height) in pixels."""

LONGEST = 16384
"""Pixels of a side: the limit of a request's own width and height."""


def asked_size(job: Job, size: Size) -> Size:
    """The size that the request asks for a picture of `size`; its own where the request says nothing.

    Where only one side is asked for, the other keeps the aspect, rounded to what the model takes.
    Raises `InvalidInput` for more than a job may have.
    """
    request, multiple = job.plan.request, job.plan.detected.multiple
    width, height = request.width, request.height
    wanted = size
    if width or height:
        wanted = (
            width or _rounded(size[0] * (height or 0) / size[1], multiple),
            height or _rounded(size[1] * (width or 0) / size[0], multiple),
        )
        if max(wanted) > LONGEST:
            raise InvalidInput(
                f"a picture of {shown_size(size)} pixels would be worked at {shown_size(wanted)}",
                fix="give both width and height",
            )
    check_pixels(job, wanted)
    return wanted


def check_pixels(job: Job, size: Size) -> None:
    """Raise `InvalidInput` where a batch of pictures of `size` is more than the host allows in one job."""
    batch, limit = job.plan.request.batch, job.plan.config.max_megapixels
    if batch * size[0] * size[1] > limit * 1e6:
        raise InvalidInput(f"{batch} × {shown_size(size)} is more than {limit:g} megapixels in one job")


def padded_size(size: Size, multiple: int) -> Size:
    """Both sides raised to the next multiple."""
    return -(-size[0] // multiple) * multiple, -(-size[1] // multiple) * multiple


def fitting_size(size: Size, within: Size) -> Size:
    """The largest size of the aspect of `size` that lies within another; at least one pixel a side."""
    (width, height), (wide, high) = size, within
    if width * high > height * wide:
        return wide, max(height * wide // width, 1)
    return max(width * high // height, 1), high


def resized(picture: "Image", size: Size) -> "Image":
    """The picture at another size, by Lanczos' filter; itself where it has that size."""
    from PIL.Image import Resampling

    return picture if picture.size == size else picture.resize(size, Resampling.LANCZOS)


def extended(picture: "Image", left: int = 0, top: int = 0, right: int = 0, bottom: int = 0) -> "Image":
    """The picture with so many pixels more on each side, which repeat its outermost ones."""
    if not (left or top or right or bottom):
        return picture
    (width, height), wide = picture.size, left + picture.width + right
    canvas = picture.crop((-left, -top, width + right, height + bottom))
    for x, at, count in ((0, 0, left), (width - 1, left + width, right)):
        if count:
            canvas.paste(picture.crop((x, 0, x + 1, height)).resize((count, height)), (at, top))
    for y, at, count in ((top, 0, top), (top + height - 1, top + height, bottom)):
        if count:
            canvas.paste(canvas.crop((0, y, wide, y + 1)).resize((wide, count)), (0, at))
    return canvas


def padded(picture: "Image", size: Size) -> "Image":
    """The picture in the upper left corner of another size, its last column and row repeated."""
    return extended(picture, right=size[0] - picture.width, bottom=size[1] - picture.height)


def shown_size(size: Size) -> str:
    """`640 × 480`."""
    return f"{size[0]} × {size[1]}"


def _rounded(length: float, multiple: int) -> int:
    return max(round(length / multiple), 1) * multiple
