"""How strongly to change the picture, where, and from what."""

from typing import Literal

from latentry_sdk import Count, Field, InvalidRequest, Number, Options, Request
from latentry_sdk.noising import check_strength
from latentry_sdk.pictures import LONGEST

Content = Literal["original", "fill", "latent_noise", "latent_nothing"]


class InpaintOptions(Options):
    """What a user can say about inpainting beside the prompt."""

    strength: Number = Field(
        1.0, gt=0, le=1, description="How much to change: 1 starts from noise alone, less from the picture"
    )
    content: Content = Field(
        "original",
        description="What is noised under the mask below strength 1: the picture, its blurred surroundings, "
        "noise, or nothing",
    )
    binarise: bool = Field(False, description="Make the mask black and white, at half, before all else")
    invert: bool = Field(False, description="Change what the mask leaves black instead")
    mask_blur: Count = Field(0, ge=0, le=64, description="Soften the mask's edge: deviation in pixels")
    differential: bool = Field(
        False,
        description="Change the mask's greys less: each joins in when the noise has fallen to its share",
    )
    full_res: bool = Field(
        False, description="Work at the mask's surroundings alone, at the size asked for or the model's own"
    )
    padding: Count = Field(
        32, ge=0, le=LONGEST, description="Pixels about the mask that are worked at in full resolution"
    )
    left: Count = Field(0, ge=0, le=LONGEST, description="Pixels of new canvas to paint on the left")
    top: Count = Field(0, ge=0, le=LONGEST, description="Pixels of new canvas to paint above")
    right: Count = Field(0, ge=0, le=LONGEST, description="Pixels of new canvas to paint on the right")
    bottom: Count = Field(0, ge=0, le=LONGEST, description="Pixels of new canvas to paint below")

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """Pixels of new canvas: left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom


def check(request: Request, options: InpaintOptions) -> None:
    """Refuse a strength that leaves no step to run, and a picture with nothing to paint."""
    check_strength(request, options.strength)
    if request.inputs.get("mask") is not None:
        return
    if not any(options.sides):
        raise InvalidRequest(
            "task 'inpaint' needs the input 'mask', or new canvas",
            fix="give a mask, or pixels for left, top, right or bottom",
        )
    if options.invert:
        raise InvalidRequest("invert needs the input 'mask'")
