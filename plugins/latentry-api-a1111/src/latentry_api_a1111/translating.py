"""A call of AUTOMATIC1111's clients as jobs: fields to a request, seeds to one request for each iteration."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latentry_api_a1111.fields import Asked, Img2Img, Txt2Img
from latentry_api_a1111.limits import check_fields, check_pixels, check_provided, check_scripts
from latentry_api_a1111.options import (
    Owned,
    hires_options,
    img2img_options,
    inpaint_options,
    preview_options,
    shared_options,
)
from latentry_api_a1111.settings import CLIP, Chosen
from latentry_api_a1111.solving import eta_of, schedule, split
from latentry_sdk import MAX_SEED, Host, InvalidRequest
from latentry_sdk.service import Wish
from latentry_sdk.sources import from_base64

Fields = Mapping[str, Any]


def wishes_of(asked: Asked, chosen: Chosen, host: Host) -> Sequence[Wish]:
    """The jobs of a call, in order; raises a `UserError` for what cannot be done.

    `chosen` are the caller's settings with those of the call, see `settings_of`.
    """
    check_fields(asked)
    check_scripts(asked.alwayson_scripts)
    check_pixels(asked, host.config.max_megapixels)
    request, inputs = request_of(asked, chosen, host), inputs_of(asked)
    return [Wish(_seeded(request, each), inputs) for each in seeds_of(asked)]


def settings_of(asked: Asked) -> Fields:
    """The settings that a call brings; SD.Next's field counts less than AUTOMATIC1111's own."""
    skip = {CLIP: asked.clip_skip} if "clip_skip" in asked.model_fields_set else {}
    return {**skip, **asked.override_settings}


def request_of(asked: Asked, chosen: Chosen, host: Host) -> Fields:
    """The request that all iterations share, without its seeds."""
    task = task_of(asked)
    sampler, scheduler = split(host, asked.sampler_name or asked.sampler_index, asked.scheduler)
    fields = {
        "task": task,
        "prompt": asked.prompt,
        "negative": asked.negative_prompt,
        "model": chosen.model,
        "sampler": sampler.name,
        "scheduler": schedule(sampler, scheduler),
        "steps": asked.steps,
        "guidance": asked.cfg_scale,
        "width": asked.width,
        "height": asked.height,
        "batch": asked.batch_size,
        "format": "png",
    }
    shared = (*shared_options(asked, chosen, host), *preview_options(sampler, host))
    options = _gathered([*shared, *_task_options(asked, host)])
    if eta := eta_of(sampler, asked.eta):
        options[sampler.name] = eta
    check_provided(task, options, host)
    return {**{name: value for name, value in fields.items() if value is not None}, "options": options}


def task_of(asked: Asked) -> str:
    """The task that a call asks for."""
    if isinstance(asked, Img2Img):
        return "inpaint" if asked.mask is not None else "img2img"
    return "hires" if isinstance(asked, Txt2Img) and asked.enable_hr else "txt2img"


def inputs_of(asked: Asked) -> Mapping[str, bytes]:
    """The bytes of the pictures that a call brings."""
    if not isinstance(asked, Img2Img):
        return {}
    if not asked.init_images:
        raise InvalidRequest("init_images is empty", fix="send one picture in base64")
    image = {"image": from_base64(asked.init_images[0], "init_images")}
    return image if asked.mask is None else {**image, "mask": from_base64(asked.mask, "mask")}


def seeds_of(asked: Asked) -> Iterator[tuple[int, int]]:
    """The first seed and subseed of each iteration: -1 is drawn once, and then both count up.

    With a subseed's strength above 0 the seed stays, and only the subseed counts.
    """
    seed, subseed = (_drawn() if each == -1 else each for each in (asked.seed, asked.subseed))
    for index in range(0, asked.images, asked.batch_size):
        counted = 0 if asked.subseed_strength else index
        yield (seed + counted) % (MAX_SEED + 1), (subseed + index) % (MAX_SEED + 1)


def _drawn() -> int:
    return int.from_bytes(os.urandom(4))


def _seeded(request: Fields, seeds: tuple[int, int]) -> Fields:
    seed, subseed = seeds
    options = request["options"]
    if "variation" in options:
        options = {**options, "variation": {**options["variation"], "variation_seed": subseed}}
    return {**request, "seed": seed, "options": options}


def _task_options(asked: Asked, host: Host) -> Owned:
    if isinstance(asked, Img2Img):
        yield task_of(asked), (img2img_options if asked.mask is None else inpaint_options)(asked)
    elif isinstance(asked, Txt2Img) and asked.enable_hr:
        yield "hires", hires_options(asked, host)


def _gathered(pairs: Sequence[tuple[str, Fields]]) -> dict[str, Fields]:
    gathered: dict[str, Fields] = {}
    for owner, options in pairs:
        gathered[owner] = {**gathered.get(owner, {}), **options}
    return gathered
