"""Which part of the picture is worked at, and at what size."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentry_inpaint.options import InpaintOptions
from latentry_sdk import Job
from latentry_sdk.pictures import Size, asked_size, fitting_size, padded_size

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels; the right and the bottom are outside."""


@dataclass(frozen=True)
class Frame:
    """What of the picture is worked at: `box`, as the upper left `content` of `size`; the rest is padding."""

    box: Box
    content: Size
    size: Size

    @property
    def extent(self) -> Size:
        """Width and height of the box."""
        left, top, right, bottom = self.box
        return right - left, bottom - top


def framed(job: Job, change: "Image", options: InpaintOptions) -> Frame:
    """The whole picture at the size asked for or its own; in full resolution the mask's surroundings.

    Those are worked at the size asked for or the model's own. A mask that is empty has none.
    """
    inside = change.getbbox() if options.full_res else None
    if inside is None:
        content = asked_size(job, change.size)
        return Frame((0, 0, *change.size), content, padded_size(content, job.plan.detected.multiple))
    size = job.plan.size
    box = with_aspect(grown(inside, options.padding, change.size), size, change.size)
    frame = Frame(box, size, size)
    return Frame(box, fitting_size(frame.extent, size), size)


def grown(box: Box, count: int, within: Size) -> Box:
    """The box with `count` pixels more on each side, as far as a picture of the size `within` has them."""
    left, top, right, bottom = box
    right, bottom = min(right + count, within[0]), min(bottom + count, within[1])
    return max(left - count, 0), max(top - count, 0), right, bottom


def with_aspect(box: Box, aspect: Size, within: Size) -> Box:
    """The box made wider or higher to the aspect, about its middle, as far as the picture reaches."""
    left, top, right, bottom = box
    wide = max(right - left, (bottom - top) * aspect[0] // aspect[1])
    high = max(bottom - top, (right - left) * aspect[1] // aspect[0])
    left, right = _lengthened(left, right, wide, within[0])
    top, bottom = _lengthened(top, bottom, high, within[1])
    return left, top, right, bottom


def _lengthened(start: int, end: int, length: int, limit: int) -> tuple[int, int]:
    """A stretch of `length` about the old one, between 0 and `limit`."""
    length = min(length, limit)
    start = max(min(start - (length - (end - start)) // 2, limit - length), 0)
    return start, start + length
