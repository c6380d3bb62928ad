"""Bring the picture to a size that the model takes, and the result to the size that was asked for."""

from typing import TYPE_CHECKING

from latentry_img2img.options import Img2ImgOptions, ResizeMode
from latentry_sdk import IMAGES, INPUTS, JOB, SIGMAS, SIZE, SOURCE, Job, Key, State
from latentry_sdk.noising import levels_left
from latentry_sdk.pictures import Size, asked_size, extended, fitting_size, padded, padded_size, resized

if TYPE_CHECKING:
    from PIL.Image import Image

CONTENT = Key[Size]("img2img.content")
"""How much of SIZE holds the picture, from the upper left corner; the rest is padding."""


def prepare(state: State) -> State:
    """The source: at the size asked for, else at the picture's own, padded to what the model takes.

    The noise levels that the strength leaves: a prompt's schedule is laid over the steps that run.
    """
    job, options = state[JOB], state[JOB].options(Img2ImgOptions)
    sigmas = levels_left(state[SIGMAS], options.strength)
    picture = opaque(state[INPUTS]["image"], job)
    content = asked_size(job, picture.size)
    size = padded_size(content, job.plan.detected.multiple)
    job.apply("size", list(content))
    source = padded(fitted(picture, content, options.resize_mode), size)
    return state.put(SOURCE, source).put(SIZE, size).put(CONTENT, content).put(SIGMAS, sigmas)


def crop(state: State) -> State:
    """The pictures without their padding."""
    content, images = state[CONTENT], state[IMAGES]
    return state.put(IMAGES, tuple(image.crop((0, 0, *content)) for image in images))


def opaque(picture: "Image", job: Job) -> "Image":
    """The picture as RGB, over white where it lets something through."""
    from PIL import Image

    if picture.mode != "RGBA":
        return picture.convert("RGB")
    if picture.getchannel("A").getextrema() != (255, 255):
        job.warn("the picture is transparent in parts: they were laid over white")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def fitted(picture: "Image", size: Size, mode: ResizeMode) -> "Image":
    """The picture at `size`: stretched, or with its aspect kept and its middle in the middle."""
    from PIL import ImageOps
    from PIL.Image import Resampling

    if mode == "crop":
        return ImageOps.fit(picture, size, Resampling.LANCZOS)
    if mode == "fixed":
        return resized(picture, size)
    inner = fitting_size(picture.size, size)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    right, bottom = size[0] - inner[0] - left, size[1] - inner[1] - top
    return extended(resized(picture, inner), left, top, right, bottom)
