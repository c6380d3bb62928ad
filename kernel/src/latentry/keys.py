"""The entries of a state that plugins share. A plugin adds its own with `Key[T]("plugin.name")`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from latentry.job import Job
from latentry.request import Artifact
from latentry.state import Key
from latentry.types import Denoise, Noise, Placed

if TYPE_CHECKING:
    from PIL.Image import Image

JOB = Key[Job]("job")
"""The running job. There from the start."""

SIZE = Key[tuple[int, int]]("size")
"""(width, height) of the pictures in pixels. There from the start: as asked, or the model's own."""

SEEDS = Key[tuple[int, ...]]("seeds")
"""One seed an image. There from the start."""

SIGMAS = Key[tuple[float, ...]]("sigmas")
"""The noise levels to sample over, decreasing to 0. There from the start; image to image cuts it short."""

INPUTS = Key[Mapping[str, "Image"]]("inputs")
"""The task's input pictures, 8-bit RGB, RGBA or L, upright."""

PLACED = Key[Mapping[str, Placed]]("placed")
"""The model's components on their devices, by name."""

CONDITIONING = Key[Any]("conditioning")
"""What encode_prompt gives and denoise takes: the family's own."""

SOURCE = Key["Image"]("source")
"""The RGB picture to start from, of SIZE."""

MASK = Key["Image"]("mask")
"""Where to change the source: L, 255 = change, of SIZE."""

KNOWN = Key[Any]("known")
"""The source's latents: (1, channels, height, width)."""

MASK_LATENTS = Key[Any]("mask_latents")
"""The mask at the latents' size, 1 = change: (1, 1, height, width)."""

MASKED_LATENTS = Key[Any]("masked_latents")
"""The latents of the source with what the mask covers greyed: (1, channels, height, width)."""

NOISE = Key[Noise[Any]]("noise")
"""The job's noise, one generator an image."""

LATENTS = Key[Any]("latents")
"""The pictures being made: noise before sampling, clean after. (batch, channels, height, width)"""

DENOISE = Key[Denoise[Any]]("denoise")
"""The denoiser that the sampler calls; stages wrap it."""

IMAGES = Key[Sequence["Image"]]("images")
"""The finished pictures, one a seed."""

ARTIFACTS = Key[Sequence[Artifact]]("artifacts")
"""What the job gives back."""
