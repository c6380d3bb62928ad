"""What the images API can be asked, as far as it can be done here."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from latentry_sdk import Count, Field, Name, Number, Options, Reference, Seed, Text

SIZE = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")
STEPS: Mapping[str, int] = {"low": 10, "medium": 20, "high": 30, "xhigh": 40, "max": 50}
"""Sampling steps of each quality."""

OTHER_NAMES: Mapping[str, str] = {"auto": "medium", "standard": "medium", "hd": "high"}
"""Qualities that are called otherwise."""


def _size(text: str) -> str:
    if text != "auto" and not SIZE.fullmatch(text):
        raise ValueError("a size is 'auto' or WIDTHxHEIGHT, 512x768 for instance")
    return text


class Asked(Options):
    """What pictures are asked for with, new ones or edits; null is as left out."""

    prompt: Text = Field(description="What the picture shows")
    model: Reference | None = Field(None, description="One of /v1/models; the server's own when left out")
    n: Count = Field(1, ge=1, le=10, description="How many pictures")
    size: Annotated[str, AfterValidator(_size)] = Field("auto", description="auto or WIDTHxHEIGHT in pixels")
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] = Field(
        "auto", description="How many sampling steps, unless `steps` says it"
    )
    background: Literal["auto", "opaque"] = Field("auto", description="Transparent ones cannot be made")
    moderation: Literal["auto", "low"] = Field("auto", description="No effect: nothing is moderated")
    output_format: Literal["png", "jpeg", "webp"] = Field("png", description="File format")
    output_compression: Count | None = Field(
        None, ge=0, le=100, description="Quality of JPEG and WebP files, 100 for the largest"
    )
    response_format: Literal["b64_json"] = Field("b64_json", description="Pictures come in the reply")
    stream: bool = Field(False, description="Send events as the pictures come")
    partial_images: Count = Field(0, ge=0, le=3, description="Previews to send before the pictures")
    user: str | None = Field(None, max_length=512, description="No effect")
    safety_identifier: str | None = Field(None, max_length=512, description="No effect")
    steps: Count | None = Field(None, description="Sampling steps")
    seed: Seed | None = Field(None, description="First picture's seed; none or -1 draws one")
    negative_prompt: Text = Field("", description="What the picture should not show")
    guidance: Number | None = Field(None, description="Classifier-free guidance")
    sampler: Name | None = Field(None, description="A sampler's name")
    scheduler: Name | None = Field(None, description="A noise schedule's name")
    options: Mapping[str, Mapping[str, Any]] = Field({}, max_length=256, description="Options by owner")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None}

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Width and height; None for auto."""
        found = SIZE.fullmatch(self.size)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def level(self) -> str:
        """The quality by its name of today."""
        return OTHER_NAMES.get(self.quality, self.quality)


class Generation(Asked):
    """A picture from a prompt alone."""

    style: Literal["vivid"] = Field("vivid", description="No effect: the prompt says the style")


class Edit(Asked):
    """A picture that is changed by a prompt; the pictures come beside it."""

    input_fidelity: Literal["low"] = Field("low", description="No effect: the strength says it")
