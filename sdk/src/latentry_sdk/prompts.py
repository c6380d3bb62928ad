"""Prompts as stages hand them to model families: weighted text, for stretches of the sampling."""

from dataclasses import dataclass

from latentry.state import Key


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text and how much it counts: 1 as written, 0 not at all."""

    text: str
    weight: float = 1.0


Chunk = tuple[Span, ...]
"""Spans that a text encoder reads together; what is too long for it goes on in another chunk."""

Prompt = tuple[Chunk, ...]
"""The chunks of one text, in order."""


@dataclass(frozen=True)
class TimedPrompt:
    """A prompt that holds up to sampling step `until`, itself included; the first step is 1."""

    until: int
    prompt: Prompt


Timeline = tuple[TimedPrompt, ...]
"""A prompt for every step: `until` rises, the last is the number of steps or more."""


@dataclass(frozen=True)
class Prompts:
    """What one image is made from; the second texts are for a model's second text encoder.

    `skip` is how many of a text encoder's last layers are left out.
    """

    prompt: Timeline
    negative: Timeline
    prompt_2: Timeline | None = None
    negative_2: Timeline | None = None
    skip: int = 0


PROMPTS = Key[tuple[Prompts, ...]]("prompts")
"""One for each image. Where no stage gives it, a family reads the request's texts as they are."""
