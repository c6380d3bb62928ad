"""Chunks of token ids to embeddings, remembered across jobs."""

import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from latentry_sdk import InvalidRequest, Placed
from latentry_stable_diffusion.chunks import Chunk

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 64 << 20
"""Of embeddings that are kept: about 160 chunks of SDXL's larger encoder."""

Encoded = tuple["Tensor", "Tensor"]
"""Hidden states (1, tokens, width), and the pooled output (1, width), both float32."""


@dataclass(frozen=True)
class Encoder:
    """A text encoder of the job: where it is, and a `key` that is equal only for the same weights there.

    `skip` is how many of its last layers are left out.
    """

    name: str
    placed: Placed
    key: Hashable
    skip: int = 0


@dataclass
class EmbeddingCache:
    """What text encoders gave, the least recently used forgotten first. Safe to use from several threads."""

    max_bytes: int = MAX_BYTES
    _kept: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def encoded(self, chunk: Chunk, encoder: Encoder) -> Encoded:
        """The chunk as `encoder` encodes it, without its weights."""
        key = (encoder.key, encoder.name, encoder.skip, chunk.ids)
        with self._lock:
            if self._kept is None:
                self._kept = _new_cache(self.max_bytes)
            found: Encoded | None = self._kept.get(key)
        if found is None:
            found = encode(chunk, encoder)
            with self._lock:
                if size_of(found) <= self.max_bytes:
                    self._kept[key] = found
        return found


def encode(chunk: Chunk, encoder: Encoder) -> Encoded:
    """Run the encoder on one chunk."""
    import torch

    layers, pooled = encoder.placed(torch.tensor([chunk.ids]))
    if encoder.skip >= len(layers):
        most = len(layers) - 1
        raise InvalidRequest(f"{encoder.name} can leave out {most} layers, not clip_skip {encoder.skip}")
    return layers[encoder.skip].float(), pooled.float()


def weighed(states: "Tensor", weights: Sequence[float]) -> "Tensor":
    """Each token's states times its weight, then scaled to the mean they had, as AUTOMATIC1111 does."""
    import torch

    if all(weight == 1 for weight in weights):
        return states
    changed = states * torch.tensor(weights, dtype=states.dtype, device=states.device)[None, :, None]
    mean = changed.mean()
    return changed * (states.mean() / mean) if mean else changed


def size_of(encoded: Encoded) -> int:
    """Bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in encoded)


def _new_cache(max_bytes: int) -> Any:
    from cachetools import LRUCache

    return LRUCache(max_bytes, getsizeof=size_of)
