"""A job's events as JSON."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from latentry_sdk import Event, ImageReady, ModelLoaded, StageStarted, Stepped

KINDS: Mapping[type[Event], str] = {
    ModelLoaded: "loaded",
    StageStarted: "stage",
    Stepped: "step",
    ImageReady: "image",
}
"""What clients know an event as, where that is not its class's name in small letters."""


def told(event: Event) -> tuple[str, Mapping[str, Any]]:
    """The kind of an event and its fields but the job's id, as far as they are JSON."""
    kind = KINDS.get(type(event)) or re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    fields = {name: value for name, value in asdict(event).items() if name != "job"}
    return kind, {name: value for name, value in fields.items() if isinstance(value, str | int | float)}
