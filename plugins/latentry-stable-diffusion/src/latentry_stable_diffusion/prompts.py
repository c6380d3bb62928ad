"""The role encode_prompt: the prompts of each image to CLIP embeddings, for stretches of the sampling."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from latentry_sdk import (
    CONDITIONING,
    JOB,
    PLACED,
    PROMPTS,
    Job,
    Prompt,
    Prompts,
    Span,
    StageSpec,
    State,
    TimedPrompt,
    Timeline,
)

if TYPE_CHECKING:
    from latentry_stable_diffusion.conditioning import Conditioning, Conditionings
    from latentry_stable_diffusion.embedding import EmbeddingCache
    from latentry_stable_diffusion.reading import PromptReader, Texts

SECOND = "text_encoder_2"


def stage(name: str) -> StageSpec:
    """The stage `name`, with a cache of its own."""

    @cache
    def embeddings() -> "EmbeddingCache":
        from latentry_stable_diffusion.embedding import EmbeddingCache

        return EmbeddingCache()

    return StageSpec(
        name,
        lambda state: encode_prompt(state, embeddings()),
        needs=(JOB, PLACED),
        gives=(CONDITIONING,),
        description="Turn the prompts into CLIP embeddings",
    )


def encode_prompt(state: State, cache: "EmbeddingCache") -> State:
    """Encode the prompts of each image, once where they are the same."""
    from latentry_stable_diffusion.reading import PromptReader

    job = state[JOB]
    images = state.get(PROMPTS) or (as_written(job),)
    distinct = {
        prompts: tuple(_stretches(prompts, PromptReader(state, cache, prompts.skip)))
        for prompts in dict.fromkeys(images)
    }
    found: Conditionings = tuple(distinct[prompts] for prompts in images)
    return state.put(CONDITIONING, found if len(distinct) > 1 else found[:1])


def as_written(job: Job) -> Prompts:
    """The request's texts without any syntax."""
    request = job.plan.request
    prompt, negative = (
        (TimedPrompt(request.steps, ((Span(text),) if text else (),)),)
        for text in (request.prompt, request.negative)
    )
    return Prompts(prompt, negative)


def _stretches(prompts: Prompts, reader: "PromptReader") -> "Iterator[Conditioning]":
    """The conditioning of each stretch in which no text changes."""
    second, negative_2 = prompts.prompt_2 or prompts.prompt, prompts.negative_2 or prompts.negative
    timelines = (prompts.prompt, prompts.negative, second, negative_2)
    for until in sorted({each.until for timeline in timelines for each in timeline}):
        texts = [_at(timeline, until) for timeline in timelines]
        prompt, negative = (
            {name: texts[side + 2 * (name == SECOND)] for name in reader.tokenizers} for side in (0, 1)
        )
        yield _conditioning(reader, prompt, negative, until)


def _conditioning(reader: "PromptReader", prompt: "Texts", negative: "Texts", until: int) -> "Conditioning":
    from latentry_stable_diffusion.conditioning import Conditioning

    cond = reader.chunks(prompt, "prompt")
    if reader.job.plan.request.guidance <= 1:
        return Conditioning(reader.embedded(cond, _longest(cond)), None, until)
    uncond = reader.chunks(negative, "negative prompt")
    count = max(_longest(cond), _longest(uncond))
    embedding = reader.embedded(cond, count)
    if reader.details.zero_empty_negative and not any(any(text) for text in negative.values()):
        return Conditioning(embedding, embedding.zeros(), until)
    return Conditioning(embedding, reader.embedded(uncond, count), until)


def _at(timeline: Timeline, step: int) -> Prompt:
    return next((each.prompt for each in timeline if step <= each.until), timeline[-1].prompt)


def _longest(chunks: Mapping[str, Sequence[Any]]) -> int:
    return max(map(len, chunks.values()))
