"""Recognise a folder of a diffusers pipeline by its headers and configuration, and refuse an unsafe one."""

from collections.abc import Mapping
from math import prod
from typing import Any

from latentry_diffusers.abilities import ability
from latentry_diffusers.parts import models
from latentry_diffusers.sizes import multiple, native_size
from latentry_sdk import Detected, InvalidModel, ModelHeader, ModelRange
from latentry_sdk.pictures import LONGEST

NAME = "diffusers"
"""The family, its noise space, its sampler and its scheduler: the pipeline's own, whatever that is."""

LEVELS = ModelRange((0.0, 1.0), space=NAME)
PICTURES = ("img2img", "inpaint")
SHORTEST = 8
"""Pixels of a side: the least that a request may ask for."""


def detect(header: ModelHeader, *, pictures: bool) -> Detected | None:
    """What the folder is, or None where it is no pipeline that draws pictures.

    With `pictures` only those that can start from a picture are known, else only those that cannot.
    Raises `InvalidModel` for a folder that wants to run code, has pickled weights, or is mistyped.
    """
    named = header.index.get("_class_name") if header.is_folder else None
    if isinstance(named, list):
        raise InvalidModel(f"{header.path.name} wants to run code (a pipeline of its own)")
    if not isinstance(named, str) or is_stable_diffusion(named):
        return None
    able = [task for task in ("txt2img", *PICTURES) if ability(named, task)]
    if not able or pictures != any(task in able for task in PICTURES):
        return None
    try:
        return described(header, named)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError) as exc:
        raise InvalidModel(f"{header.path.name}: its configuration lacks or mistypes {exc}") from exc


def is_stable_diffusion(named: str) -> bool:
    """Whether the class is of Stable Diffusion 1, 2 or XL, which have a family with every sampler."""
    return named.startswith("StableDiffusion") and not named.startswith("StableDiffusion3")


def described(header: ModelHeader, named: str) -> Detected:
    """The folder's size, and its parameters: all of its models are one component."""
    configs: Mapping[str, Mapping[str, Any]] = {part: header.config(part) for part in models(header)}
    total = sum(prod(tensor.shape) for part in configs for tensor in header.tensors(part).values())
    size, unit = native_size(named, configs), multiple(configs)
    if not all(SHORTEST <= length <= LONGEST for length in (*size, unit)):
        raise ValueError("the size of its pictures")
    return Detected(
        variant=named,
        components={"pipeline": total},
        model_range=LEVELS,
        size=size,
        multiple=unit,
        sampler=NAME,
        scheduler=NAME,
    )
