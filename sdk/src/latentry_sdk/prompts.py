"""Prompts as stages hand them to model families: weighted text, for stretches of the sampling."""

from dataclasses import dataclass

from latentry.job import Job
from latentry.keys import JOB, SEEDS, SIGMAS, SIZE
from latentry.plan import Plan
from latentry.state import Key, State


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


def planned_prompts(plan: Plan) -> tuple[Prompts, ...] | None:
    """The prompts that the plan's stages will give, for a family that refuses some of them at planning.

    A stage that needs no more than there is from the start is run; None where there is no such one. Raises
    what the stage raises for a text that cannot be read.
    """
    job = Job("planning", plan, notify=lambda _event: None)
    state = State().put(JOB, job).put(SIZE, plan.size).put(SEEDS, plan.seeds).put(SIGMAS, plan.sigmas)
    for stage in plan.stages:
        if PROMPTS in stage.gives and all(key in state for key in stage.needs):
            return stage.run(state)[PROMPTS]
    return None
