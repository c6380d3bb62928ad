"""What encode_prompt gives to denoise: embeddings for each image and stretch of the sampling."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Embedding:
    """One text: for each encoder its hidden states (1, tokens, width); the last one's `pooled` (1, width)."""

    sides: tuple["Tensor", ...]
    pooled: "Tensor"

    @property
    def hidden(self) -> "Tensor":
        """The encoders' states side by side: (1, tokens, width of all)."""
        import torch

        return torch.cat(self.sides, dim=-1)

    def zeros(self) -> "Embedding":
        """What stands for an empty text in models that were trained so."""
        return Embedding(tuple(side * 0 for side in self.sides), self.pooled * 0)


@dataclass(frozen=True)
class Conditioning:
    """Embeddings up to sampling step `until`: the prompt's, and the negative's where guidance needs it."""

    cond: Embedding
    uncond: Embedding | None = None
    until: int = 0


Conditionings = tuple[tuple[Conditioning, ...], ...]
"""What encode_prompt gives: the stretches of each image, or of one that stands for all."""
