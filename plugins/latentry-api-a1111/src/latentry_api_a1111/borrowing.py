"""Fields from a picture's text: what a call leaves out is taken from its `infotext`."""

from collections.abc import Mapping
from typing import Any, TypeVar

from latentry_api_a1111 import infotext
from latentry_api_a1111.fields import Asked
from latentry_api_a1111.settings import MODEL
from latentry_sdk import InvalidRequest, parsed

A = TypeVar("A", bound=Asked)

FIELDS: Mapping[str, str] = {
    "Prompt": "prompt",
    "Negative prompt": "negative_prompt",
    "Steps": "steps",
    "Sampler": "sampler_name",
    "Schedule type": "scheduler",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Variation seed": "subseed",
    "Variation seed strength": "subseed_strength",
    "Denoising strength": "denoising_strength",
    "Clip skip": "clip_skip",
}
"""The fields that a text's settings stand for."""

BESIDE = frozenset({"Size", "Model", "Model hash", "Version"})
"""A size is two fields, a model a setting; the others change no picture."""


def filled(asked: A) -> A:
    """The call with what its infotext says where the call itself says nothing.

    Raises `InvalidRequest` for a setting that is not known here.
    """
    if not asked.infotext:
        return asked
    told = infotext.read(asked.infotext)
    if unknown := sorted(told.keys() - FIELDS.keys() - BESIDE):
        raise InvalidRequest(
            f"infotext has {ascii(unknown[0])[:80]}, which is not read here", fix="leave it out"
        )
    given = asked.model_dump(exclude_unset=True)
    settings = {**_model(told), **given.get("override_settings", {})}
    fields = {FIELDS[name]: value for name, value in told.items() if name in FIELDS}
    whole = {**fields, **_size(told), **given, "override_settings": settings, "infotext": ""}
    return parsed(type(asked), whole, where="infotext: ")


def _size(told: Mapping[str, str]) -> Mapping[str, Any]:
    """Width and height of `512x768`."""
    width, by, height = told.get("Size", "").partition("x")
    return {"width": width, "height": height} if by else {}


def _model(told: Mapping[str, str]) -> Mapping[str, str]:
    return {MODEL: told["Model"]} if "Model" in told else {}
