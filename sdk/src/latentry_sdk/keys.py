"""The entries of a state that plugins share. A plugin adds its own with `Key[T]("plugin.name")`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from latentry.state import Key

if TYPE_CHECKING:
    from PIL.Image import Image

INPUTS = Key[Mapping[str, "Image"]]("inputs")
"""The task's input pictures, 8-bit RGB, RGBA or L, upright."""

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

IMAGES = Key[Sequence["Image"]]("images")
"""The finished pictures, one a seed."""
