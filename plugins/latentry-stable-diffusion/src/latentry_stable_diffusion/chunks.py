"""Weighted text to the token ids that a CLIP text encoder reads, in chunks of its length."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from latentry_sdk import Chunk as Spans
from latentry_sdk import Prompt

MOST = 40
"""Chunks of one prompt; what is longer is cut."""

LOOK_BACK = 20
"""A chunk ends at a comma rather than between words, if one is among its last so many tokens."""

Token = tuple[int, float]
"""An id and its weight."""


@dataclass(frozen=True)
class Chunk:
    """As many ids as the encoder reads at once, start and end included, and the weight of each."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Tokens:
    """A prompt's chunks, and the text that was cut off."""

    chunks: tuple[Chunk, ...]
    left_out: str = ""


def tokenized(prompt: Prompt, tokenizer: Any, limit: int) -> Tokens:
    """The prompt in chunks of `limit` tokens; each of the prompt's own chunks begins a new one."""
    size = min(limit, tokenizer.model_max_length) - 2
    comma = _ids(",", tokenizer)[-1]
    parts = [part for spans in prompt for part in split(tokens_of(spans, tokenizer), size, comma)]
    left_out = [token for part in parts[MOST:] for token, _ in part]
    chunks = tuple(filled(part, tokenizer, size) for part in parts[:MOST])
    return Tokens(chunks, tokenizer.decode(left_out).strip() if left_out else "")


def tokens_of(spans: Spans, tokenizer: Any) -> list[Token]:
    """The tokens of spans, with their weights; half a surrogate pair is no text."""
    texts = ((span.text.encode(errors="replace").decode(), span.weight) for span in spans)
    return [(token, weight) for text, weight in texts for token in _ids(text, tokenizer)]


def split(tokens: list[Token], size: int, comma: int) -> Iterator[list[Token]]:
    """Runs of at most `size` tokens; at least one, which may be empty."""
    start = 0
    while len(tokens) - start > size:
        end = start + size
        commas = (at for at in range(end, max(end - LOOK_BACK, start), -1) if tokens[at - 1][0] == comma)
        end = next(commas, end)
        yield tokens[start:end]
        start = end
    yield tokens[start:]


def filled(tokens: list[Token], tokenizer: Any, size: int) -> Chunk:
    """The chunk of `tokens` between the ids for start and end, filled up to `size` tokens."""
    padding = [tokenizer.pad_token_id] * (size - len(tokens))
    ids = [tokenizer.bos_token_id, *(token for token, _ in tokens), tokenizer.eos_token_id, *padding]
    weights = [1.0, *(weight for _, weight in tokens), 1.0, *[1.0] * len(padding)]
    return Chunk(tuple(ids), tuple(weights))


def _ids(text: str, tokenizer: Any) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    return found
