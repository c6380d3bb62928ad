"""Give every training step its own random numbers, so that a resumed run draws the same ones."""

from __future__ import annotations

import numpy as np
import torch


def numpy_generator(*seeds: int) -> np.random.Generator:
    """A generator that depends on the given numbers alone, such as the run's seed and the step."""
    return np.random.default_rng(seeds)


def torch_generator(*seeds: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The same for torch; other numbers come on a device of another kind."""
    seed = int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator(device).manual_seed(seed)
