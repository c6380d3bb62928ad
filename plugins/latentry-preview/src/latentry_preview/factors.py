"""The factors by which latents become colours, as near to a model's own decoder as a sum can be.

It is fitted by least squares to one tiny picture that the family's stage `decode` makes, so it needs no
knowledge of the model, and is kept in the host's cache folder for the model's later jobs.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from math import ceil, isfinite, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from latentry_sdk import IMAGES, JOB, LATENTS, State, UserError, write_whole

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 8
"""Latents of the tiny picture's side, at least."""

Factors = Sequence[Sequence[float]]
"""What each of `terms` adds to red, green and blue in 0 … 1."""


def factors_of(state: State) -> Factors:
    """The factors of the job's model: read, or fitted and kept."""
    plan, channels = state[JOB].plan, state[LATENTS].shape[1]
    name = sha256(repr((plan.model_key(), channels)).encode()).hexdigest()[:32]
    file = plan.config.cache_dir / "preview" / f"{name}.json"
    if (known := _read(file, channels)) is None:
        known = fitted(state, channels)
        _keep(file, known)
    return known


def fitted(state: State, channels: int) -> Factors:
    """The factors by least squares: the decoder's colours of the `trial` latents over their terms."""
    import torch
    from PIL.Image import Resampling

    latents = trial(channels)
    role = state[JOB].plan.family.roles["decode"]
    decode = next(stage for stage in state[JOB].plan.stages if stage.name == role)
    picture = decode.run(state.put(LATENTS, latents))[IMAGES][0].convert("RGB")
    small = picture.resize((latents.shape[3], latents.shape[2]), Resampling.BOX)
    colours = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(-1, 3).double() / 255
    rows = terms(latents.double()).view(len(colours), -1)
    return [[round(value, 6) for value in row] for row in torch.linalg.lstsq(rows, colours).solution.tolist()]


def trial(channels: int) -> "Tensor":
    """Square latents to be decoded, the same at each call: (1, channels, side, side).

    Noise whose channels are of mean 0 and unit variance and do not correlate, so that few pixels tell the
    channels apart; four pixels for each of a latent's terms.
    """
    import torch

    side = max(SMALLEST, ceil(sqrt(4 * (2 * channels + 1))))
    noise = torch.randn(side * side, channels, generator=torch.Generator().manual_seed(0))
    apart, _ = torch.linalg.qr(torch.cat([torch.ones(side * side, 1), noise], dim=1))
    latents: Tensor = (apart[:, 1:].T * side).reshape(1, channels, side, side)
    return latents


def terms(latents: "Tensor") -> "Tensor":
    """What a pixel's colour is a sum of: (batch, height, width, 2 channels + 1).

    The latent's channels, those of the mean of it and its eight neighbours, which a decoder looks at too,
    and 1.
    """
    import torch
    from torch.nn.functional import avg_pool2d

    about = avg_pool2d(latents, 3, stride=1, padding=1, count_include_pad=False)
    return torch.cat([latents, about, torch.ones_like(latents[:, :1])], dim=1).movedim(1, -1)


def _read(file: Path, channels: int) -> Factors | None:
    """What the file holds, if that is factors."""
    with suppress(OSError, ValueError, TypeError, RecursionError):
        rows = [[float(value) for value in row] for row in json.loads(file.read_bytes())]
        if len(rows) == 2 * channels + 1 and all(len(row) == 3 and all(map(isfinite, row)) for row in rows):
            return rows
    return None


def _keep(file: Path, factors: Factors) -> None:
    """Write the file in one step; a cache folder that cannot be written to costs the next job a fit."""
    with suppress(OSError, UserError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(factors).encode(), overwrite=True)
