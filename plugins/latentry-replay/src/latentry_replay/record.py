"""Our own record of a picture, as far as a replay needs it: checked, and never trusted."""

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, model_validator

from latentry_sdk import MAX_SEED, Count, Field, InvalidInput, Number, Options, parsed
from latentry_sdk.records import DOCUMENT

LONGEST = 8 << 20
"""Characters of a record. The longest prompts a request may hold take less, every character escaped."""

DEEPEST = 64
"""Objects and lists inside one another."""


class Part(Options):
    """A part of a record; what a later version adds to it is left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class Model(Part):
    """The model by its file's or folder's name, and by its hash where that was taken."""

    name: str
    sha256: str | None = None


class Drawn(Part):
    """An image's prompts after its choices were made."""

    prompt: str
    negative: str


class Variation(Part):
    """How far the noise went towards that of another seed, which each image has its own of."""

    strength: Number
    seeds: tuple[Count, ...]


class Applied(Part):
    """What was done: names by kind, and options by owner with every default in them."""

    model: Model
    further_models: Mapping[str, Model] = {}
    sampler: str
    scheduler: str
    format: str
    options: Mapping[str, Mapping[str, Any]]
    placements: Mapping[str, str]
    quantizers: Mapping[str, str] = {}
    optimizers: tuple[str, ...] = ()
    dtypes: Mapping[str, str] = {}
    plugins: Mapping[str, str] = {}
    libraries: Mapping[str, str] = {}
    prompts: tuple[Drawn, ...] = ()
    variation: Variation | None = None


class Record(Part):
    """One picture's record: the request it came from, which image of the batch it is, what was applied."""

    latentry: str
    request: Mapping[str, Any]
    seed: Count = Field(ge=0, le=MAX_SEED)
    index: Count = Field(0, ge=0, le=63)
    applied: Applied

    @model_validator(mode="after")
    def _each_image_has_its_own(self) -> Self:
        drawn, variation = self.applied.prompts, self.applied.variation
        counts = [len(each) for each in (drawn, variation.seeds if variation else ()) if each]
        if any(self.index >= count for count in counts):
            raise ValueError(f"there is no image {self.index} in its batch")
        return self

    @property
    def prompts(self) -> tuple[str, str]:
        """Prompt and negative prompt: as the image's choices fell, where it had any."""
        if self.applied.prompts:
            drawn = self.applied.prompts[self.index]
            return drawn.prompt, drawn.negative
        return str(self.request.get("prompt", "")), str(self.request.get("negative", ""))

    @property
    def options(self) -> Mapping[str, Mapping[str, Any]]:
        """The options by owner, with the variation seed that this image had."""
        options, variation = self.applied.options, self.applied.variation
        if variation is None:
            return options
        own = {**options.get("variation", {}), "variation_seed": variation.seeds[self.index]}
        return {**options, "variation": own}

    @property
    def inputs(self) -> Mapping[str, str]:
        """The digests of the pictures that went in, by the inputs' names."""
        given = self.request.get("inputs")
        found = given.items() if isinstance(given, Mapping) else ()
        return {str(name): digest for name, digest in found if isinstance(digest, str)}


def read_record(texts: Mapping[str, str]) -> Record | None:
    """The record among a picture's texts, None where there is none.

    Raises a `UserError` of one line for one that is too long, no JSON, or of another form.
    """
    if (text := texts.get(DOCUMENT)) is None:
        return None
    if len(text) > LONGEST:
        raise InvalidInput(f"its record is longer than {LONGEST >> 20} Mi characters")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput("its record is no JSON, or is cut short") from exc
    if not isinstance(found, dict):
        raise InvalidInput("its record is no JSON object")
    check_depth(found, "its record")
    return parsed(Record, found, where="its record: ")


def check_depth(value: Any, what: str) -> None:
    """Raise `InvalidInput` for values nested so deep that writing them again might end the program."""
    level = [value]
    for _ in range(DEEPEST):
        inner = [each.values() if isinstance(each, dict) else each for each in level
                 if isinstance(each, dict | list)]  # fmt: skip
        level = [child for each in inner for child in each]
    if level:
        raise InvalidInput(f"{what} is nested more than {DEEPEST} deep")
