"""From the mask that was given to the mask that is painted."""

from typing import TYPE_CHECKING

from latentry_inpaint.extending import margins
from latentry_inpaint.framing import grown
from latentry_inpaint.options import InpaintOptions
from latentry_sdk.pictures import Size

if TYPE_CHECKING:
    from PIL.Image import Image


def effective(mask: "Image", options: InpaintOptions) -> "Image":
    """The mask as the options change it, in A1111's order: black and white, inverted, blurred.

    New canvas is white, before the blur, which so leads from it into the picture.
    """
    from PIL import ImageOps

    if options.binarise:
        mask = mask.point(lambda grey: 255 if grey >= 128 else 0)
    if options.invert:
        mask = ImageOps.invert(mask)
    return blurred(margins(mask, options), options.mask_blur)


def blurred(mask: "Image", deviation: int) -> "Image":
    """The mask under a Gaussian that is cut at 2.5 deviations and mirrored at the picture's edge.

    What is further than int(2.5 deviation + 0.5) pixels from the mask stays black.
    """
    box = mask.getbbox()
    if not deviation or box is None:
        return mask
    import numpy as np
    from PIL import Image
    from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped]

    reach = int(2.5 * deviation + 0.5)
    box = grown(box, 2 * reach, mask.size)
    grey = np.asarray(mask.crop(box), dtype=np.float32)
    soft = gaussian_filter(grey, deviation, radius=reach, mode="mirror")
    result = Image.new("L", mask.size)
    result.paste(Image.fromarray(np.rint(soft).astype(np.uint8)), box)
    return result


def is_full(mask: "Image") -> bool:
    """Whether every pixel changes wholly."""
    return mask.getextrema() == (255, 255)


def lifted(mask: "Image") -> "Image":
    """The greys 1 … 255 moved to 128 … 255, two by two, so that a threshold at half takes all that change."""
    return mask.point(lambda grey: 127 + (grey + 1) // 2 if grey else 0)


def whole(mask: "Image") -> "Image":
    """White where the mask is not black."""
    return mask.point(lambda grey: 255 if grey else 0)


def resized_mask(mask: "Image", size: Size) -> "Image":
    """The mask at another size: a hard one stays hard, a soft one soft."""
    from PIL.Image import Resampling

    if mask.size == size:
        return mask
    is_hard = not any(mask.histogram()[1:255])
    return mask.resize(size, Resampling.NEAREST if is_hard else Resampling.BILINEAR)


def padded_black(mask: "Image", size: Size) -> "Image":
    """The mask in the upper left corner; what is beside and below does not change."""
    return mask if mask.size == size else mask.crop((0, 0, *size))
