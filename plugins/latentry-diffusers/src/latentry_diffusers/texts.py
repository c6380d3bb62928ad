"""The prompts as a pipeline reads them: plain text, the same for all steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from latentry_sdk import InvalidRequest, Plan, Prompts, Timeline


@dataclass(frozen=True)
class Texts:
    """What one image is made from; the second texts are None where none were given."""

    prompt: str
    negative: str
    prompt_2: str | None = None
    negative_2: str | None = None
    skip: int = 0


def texts(plan: Plan, prompts: Sequence[Prompts] | None) -> Sequence[Texts]:
    """The texts of each image; `InvalidRequest` for weights and schedules, which no pipeline reads."""
    if prompts is None:
        return (Texts(plan.request.prompt, plan.request.negative),) * len(plan.seeds)
    return tuple(map(_texts, prompts))


def _texts(prompts: Prompts) -> Texts:
    return Texts(
        plain(prompts.prompt),
        plain(prompts.negative),
        None if prompts.prompt_2 is None else plain(prompts.prompt_2),
        None if prompts.negative_2 is None else plain(prompts.negative_2),
        prompts.skip,
    )


def plain(timeline: Timeline) -> str:
    """The text of a prompt that says nothing but text."""
    chunks = [chunk for timed in timeline for chunk in timed.prompt]
    if len(timeline) > 1 or len(chunks) > 1 or any(span.weight != 1 for chunk in chunks for span in chunk):
        raise InvalidRequest(
            "a whole pipeline reads no weights, BREAK or schedules in a prompt",
            fix=r"write \( \) \[ \] for brackets that are text",
        )
    return "".join(span.text for chunk in chunks for span in chunk)
