"""Latents to small pictures, as a sum for each colour."""

from io import BytesIO
from typing import TYPE_CHECKING

from latentry_preview.factors import terms
from latentry_sdk import Preview
from latentry_sdk.pictures import fitting_size, resized

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


def drawn(factors: "Tensor", size: int | None, clean: "Tensor", first: int = 0) -> tuple[Preview, ...]:
    """A JPEG file of each image of (images, channels, height, width) latents, its longest side `size`.

    `first` is the first one's number in the job.
    """
    from PIL import Image

    pictures = (Image.fromarray(pixels) for pixels in colours(clean, factors).numpy())
    return tuple(_file(index, picture, size) for index, picture in enumerate(pictures, first))


def colours(clean: "Tensor", factors: "Tensor") -> "Tensor":
    """Red, green and blue as bytes, on the CPU: (batch, height, width, 3).

    `factors` (2 channels + 1, 3) are what each of the latents' terms adds to the colours in 0 … 1.
    """
    bright = terms(clean.float()) @ factors
    return (bright.clamp(0, 1) * 255).round().byte().cpu()


def _file(index: int, picture: "Image", size: int | None) -> Preview:
    if size is not None:
        picture = resized(picture, fitting_size(picture.size, (size, size)))
    file = BytesIO()
    picture.save(file, "JPEG", quality=90, subsampling=0)
    return Preview(index, *picture.size, file.getvalue())
