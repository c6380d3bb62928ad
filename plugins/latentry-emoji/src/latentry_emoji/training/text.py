"""Make the two tokenizers and text encoders, and turn captions into what the denoiser listens to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from latentry_emoji.training.backgrounds import PHOTOS
from latentry_emoji.training.concepts import names, with_article
from latentry_emoji.training.merges import learn_merges, vocabulary
from latentry_emoji.training.scenes import COLOURS, RELATIONS, TEXTURES

START, END = "<|startoftext|>", "<|endoftext|>"
START_ID, END_ID = 0, 1


@dataclass(frozen=True)
class TextSettings:
    """The widths of both encoders, their depth, and how many tokens a caption has."""

    widths: tuple[int, int] = (96, 160)
    layers: int = 3
    heads: int = 4
    tokens: int = 32
    merges: int = 1500

    @property
    def joined_width(self) -> int:
        """The width of the embeddings the denoiser attends to: both encoders' side by side."""
        return sum(self.widths)


@dataclass
class TextEncoders:
    """Both tokenizers with their encoders, used as Stable Diffusion XL uses its own."""

    tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]
    first: CLIPTextModel
    second: CLIPTextModelWithProjection

    @property
    def modules(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        """Both encoders."""
        return self.first, self.second

    def tokenize(self, captions: Sequence[str]) -> torch.Tensor:
        """Token numbers (2, count, tokens), one row a tokenizer."""
        return torch.stack([_padded(tokenizer, captions) for tokenizer in self.tokenizers])

    def __call__(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (count, tokens, joined width) of the layers before the last; pooled (count, width)."""
        first = self.first(tokens[0], output_hidden_states=True)
        second = self.second(tokens[1], output_hidden_states=True)
        return torch.cat((first.hidden_states[-2], second.hidden_states[-2]), -1), second.text_embeds


def new_text_encoders(settings: TextSettings) -> TextEncoders:
    """Untrained encoders with tokenizers that know the captions' words."""
    tokenizer = new_tokenizer(settings)
    first, second = (_configuration(settings, width, len(tokenizer)) for width in settings.widths)
    return TextEncoders((tokenizer, tokenizer), CLIPTextModel(first), CLIPTextModelWithProjection(second))


def new_tokenizer(settings: TextSettings) -> CLIPTokenizer:
    """A byte-pair tokenizer in which the words of all captions are whole, and any other text can be spelt."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = (word for phrase in _phrases() for word in re.findall(r"[a-z]+", phrase))
    merges = learn_merges(words, settings.merges)
    known = vocabulary(alphabet, merges, (START, END))
    return CLIPTokenizer(vocab=known, merges=merges, model_max_length=settings.tokens)


def _phrases() -> Iterable[str]:
    yield from (with_article(name) for name in names())
    yield from (f"on a {colour} and {colour} to {colour} gradient background" for colour in COLOURS)
    yield from (f"on a {texture} background" for texture in TEXTURES)
    yield from (f"on a photo of {subject}" for subject in PHOTOS)
    yield from RELATIONS.values()


def _configuration(settings: TextSettings, width: int, vocabulary: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        max_position_embeddings=settings.tokens,
        bos_token_id=START_ID,
        eos_token_id=END_ID,
        pad_token_id=END_ID,
    )


def _padded(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> torch.Tensor:
    batch = tokenizer(list(captions), padding="max_length", truncation=True, return_tensors="pt")
    numbers: torch.Tensor = batch.input_ids
    return numbers
