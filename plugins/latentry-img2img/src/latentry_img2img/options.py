"""How strongly to change the picture, and how to bring it to the size asked for."""

from typing import Literal

from latentry_sdk import Field, Number, Options, Request
from latentry_sdk.noising import check_strength

ResizeMode = Literal["fixed", "crop", "fill"]


class Img2ImgOptions(Options):
    """What a user can say about image to image beside the prompt."""

    strength: Number = Field(
        0.75, gt=0, le=1, description="Share of the steps to run, from the picture under as much noise"
    )
    resize_mode: ResizeMode = Field(
        "fixed", description="To another aspect: stretch, crop what is too much, or fill with the edge"
    )


def check(request: Request, options: Img2ImgOptions) -> None:
    """Refuse a strength that leaves no step to run."""
    check_strength(request, options.strength)
