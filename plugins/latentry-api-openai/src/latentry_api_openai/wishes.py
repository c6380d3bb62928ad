"""From what a client of the images API asks for to a job."""

from collections.abc import Mapping
from typing import Any

from latentry_api_openai.asking import STEPS, Asked, Edit, Generation
from latentry_api_openai.failures import BadParameter
from latentry_api_openai.headers import size_of
from latentry_sdk.service import Wish

OptionsByOwner = Mapping[str, Mapping[str, Any]]
LONGEST_PREVIEW = 512
"""Pixels of a preview's longer side, at most; that is also what the stage `preview` allows."""


def generation_wish(asked: Generation) -> Wish:
    """A job of `txt2img`."""
    return Wish(_request("txt2img", asked, _options(asked, asked.pixels)), {})


def edit_wish(asked: Edit, image: bytes, mask: bytes | None) -> Wish:
    """A job of `inpaint` where the mask is transparent; of `img2img` without a mask.

    Raises `BadParameter` for what is no picture by its header, and for a mask of another size.
    """
    size = size_of(image, "image")
    if mask is None:
        request = _request("img2img", asked, _options(asked, asked.pixels or size))
        return Wish(request, {"image": image})
    if (other := size_of(mask, "mask")) != size:
        raise BadParameter(
            "mask", f"the image is {size[0]} × {size[1]} pixels, the mask {other[0]} × {other[1]}"
        )
    options = _merged(_options(asked, size), {"read_images": {"mask_channel": "transparent"}})
    return Wish(_request("inpaint", asked, options), {"image": image, "mask": mask})


def _request(task: str, asked: Asked, options: OptionsByOwner) -> Mapping[str, Any]:
    width, height = asked.pixels or (None, None)
    fields = {
        "task": task,
        "prompt": asked.prompt,
        "negative": asked.negative_prompt,
        "model": asked.model,
        "seed": asked.seed,
        "steps": steps_of(asked),
        "sampler": asked.sampler,
        "scheduler": asked.scheduler,
        "guidance": asked.guidance,
        "width": width,
        "height": height,
        "batch": asked.n,
        "format": asked.output_format,
        "options": _merged(options, asked.options),
    }
    return {name: value for name, value in fields.items() if value is not None}


def steps_of(asked: Asked) -> int:
    """The steps that were asked for, by number or by quality."""
    return STEPS[asked.level] if asked.steps is None else asked.steps


def _options(asked: Asked, size: tuple[int, int] | None) -> OptionsByOwner:
    """How files are written, and previews sent, where anything was said of it."""
    options: dict[str, Mapping[str, Any]] = {}
    if asked.output_compression is not None:
        options["write_images"] = {"quality": _file_quality(asked, asked.output_compression)}
    if asked.partial_images:
        if not asked.stream:
            raise BadParameter("partial_images", "partial images come by a stream: set `stream` to true")
        every = max(steps_of(asked) // (asked.partial_images + 1), 1)
        longest = min(max(size or (LONGEST_PREVIEW,)), LONGEST_PREVIEW)
        options["preview"] = {"preview_every": every, "preview_size": max(longest, 8)}
    return options


def _file_quality(asked: Asked, compression: int) -> int:
    if asked.output_format == "png" and compression != 100:
        raise BadParameter("output_compression", "png loses nothing: choose jpeg or webp, or leave it out")
    return max(compression, 1)


def _merged(ours: OptionsByOwner, theirs: OptionsByOwner) -> OptionsByOwner:
    """Both; where they meet, the latter count."""
    return {owner: {**ours.get(owner, {}), **theirs.get(owner, {})} for owner in {**ours, **theirs}}
