"""What a UNet for inpainting sees where nothing is to be kept: a grey picture, which is encoded once."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from latentry_sdk import JOB, PLACED, SIZE, State
from latentry_stable_diffusion.details import Details
from latentry_stable_diffusion.pictures import encode

if TYPE_CHECKING:
    from torch import Tensor

MOST = 8
"""Pictures that are kept: at 1024 × 1024 each has 256 KiB."""


@dataclass
class GreyPictures:
    """The latents of grey pictures, the least recently used forgotten first. Threads may share it."""

    _kept: "OrderedDict[Hashable, Tensor]" = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def latents(self, state: State) -> "Tensor":
        """(1, channels, height, width) latents of one of the job's size, on the CPU."""
        key = _key(state)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = _encoded(state)
        with self._lock:
            self._kept[key] = found
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return found


def _encoded(state: State) -> "Tensor":
    import torch

    (width, height), encoder = state[SIZE], state[PLACED]["vae_encoder"]
    return encode(torch.zeros(1, 3, height, width), encoder, Details.of(state[JOB])).to("cpu")


def _key(state: State) -> Hashable:
    """Equal where the VAE has the same weights in the same place, and no option could have changed it."""
    plan = state[JOB].plan
    options = [(*part, value.model_dump_json()) for part, value in plan.options.items()]
    return plan.model_key(), plan.placement_key(), tuple(sorted(options)), state[SIZE]
