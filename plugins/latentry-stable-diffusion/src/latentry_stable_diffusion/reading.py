"""Read prompts with all text encoders of a job."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from latentry_sdk import JOB, PLACED, Prompt, State
from latentry_stable_diffusion.chunks import Chunk, tokenized
from latentry_stable_diffusion.conditioning import Embedding
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.embedding import EmbeddingCache, Encoder, weighed
from latentry_stable_diffusion.tokenizers import tokenizers

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 200  # characters of a text that was cut

Texts = Mapping[str, Prompt]
"""The prompt of each text encoder."""


class PromptReader:
    """Reads texts with the encoders of one job."""

    def __init__(self, state: State, cache: EmbeddingCache, skip: int) -> None:
        self.job, self.cache = state[JOB], cache
        self.details = Details.of(self.job)
        self.tokenizers = tokenizers(self.job)
        plan = self.job.plan
        self.encoders = [
            Encoder(name, state[PLACED][name], (plan.model_key(), plan.placements.get(name)), skip)
            for name in self.tokenizers
        ]

    def chunks(self, texts: Texts, called: str) -> Mapping[str, Sequence[Chunk]]:
        """The chunks of each encoder's text; what is cut off is told."""
        found = {}
        for name, tokenizer in self.tokenizers.items():
            tokens = tokenized(texts[name], tokenizer, self.details.tokens)
            if tokens.left_out:
                self.job.warn(f"the {called} is too long; left out: {_short(tokens.left_out)}")
            found[name] = tokens.chunks
        return found

    def embedded(self, chunks: Mapping[str, Sequence[Chunk]], count: int) -> Embedding:
        """The embedding of `count` chunks; missing ones are empty."""
        sides = [self._side(chunks[encoder.name], encoder, count) for encoder in self.encoders]
        return Embedding(tuple(hidden for hidden, _ in sides), sides[-1][1])

    def _side(self, chunks: Sequence[Chunk], encoder: Encoder, count: int) -> "tuple[Tensor, Tensor]":
        import torch

        empty = tokenized(((),), self.tokenizers[encoder.name], self.details.tokens).chunks
        whole = [*chunks, *empty * (count - len(chunks))]
        encoded = [self.cache.encoded(chunk, encoder) for chunk in whole]
        states = [weighed(hidden, chunk.weights) for (hidden, _), chunk in zip(encoded, whole, strict=True)]
        return torch.cat(states, dim=1), encoded[0][1]


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
