"""The sizes of a model's layers, as its configurations give them: what its activations are reckoned from."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

KINDS = r"transformer_blocks|resnets|layers|resblocks|(?:in|out)put_blocks\.\d+|block"
BLOCK = re.compile(rf"^.*\.(?:{KINDS})\.\d+\.")
"""The prefix of a block's tensors: of a transformer or residual block, or a layer of a text encoder."""

TABLE = re.compile(r"(?:token|position)_embedding\.weight$")
DOWN = (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D")
UP = ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3)


@dataclass(frozen=True)
class Level:
    """One resolution: channels, residual blocks, and how many transformer blocks follow each, down and up."""

    channels: int
    layers: int
    down: int = 0
    up: int = 0


@dataclass(frozen=True)
class Layout:
    """Levels of the UNet and the VAE from fine to coarse, and (width, layers, inner width) of text encoders.

    `middle` is how many transformer blocks the UNet's middle has, `context` the width of its prompts.
    """

    unet: tuple[Level, ...]
    vae: tuple[Level, ...]
    middle: int
    context: int
    text: Mapping[str, tuple[int, int, int]]

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Self:
        """The layout in a model's details, which hold it as plain mappings."""
        found = details["layout"]
        levels = {part: tuple(Level(**level) for level in found[part]) for part in ("unet", "vae")}
        return cls(**{**found, **levels})


def read_layout(
    unet: Mapping[str, Any], vae: Mapping[str, Any], encoders: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The layout, as plain mappings, of what diffusers' configurations describe, with diffusers' defaults."""
    channels = unet.get("block_out_channels") or (320, 640, 1280, 1280)
    layers = _each(unet.get("layers_per_block", 2), len(channels))
    depths = _each(unet.get("transformer_layers_per_block", 1), len(channels))
    downs = _where(depths, unet.get("down_block_types", DOWN))
    rising = _each(unet.get("reverse_transformer_layers_per_block") or depths[::-1], len(channels))
    ups = _where(rising, unet.get("up_block_types", UP))[::-1]
    fine = vae["block_out_channels"]
    context = unet.get("cross_attention_dim", 1280)
    found = Layout(
        unet=tuple(map(Level, map(int, channels), layers, downs, ups)),
        vae=tuple(map(Level, map(int, fine), _each(vae.get("layers_per_block", 1), len(fine)))),
        middle=depths[-1] if unet.get("mid_block_type", "CrossAttn") else 0,
        context=int(context[-1] if isinstance(context, list) else context),
        text={part: _text(config) for part, config in encoders.items()},
    )
    return asdict(found)


def largest_blocks(parts: Mapping[str, Mapping[str, int]]) -> Mapping[str, int]:
    """The values of each part's largest block, from its tensors' names and sizes."""
    return {part: max(_blocks(sizes), default=0) for part, sizes in parts.items()}


def _blocks(sizes: Mapping[str, int]) -> Iterator[int]:
    """The values of each block; what is in no block is one with its neighbours of the same layer.

    Tables of embeddings are not moved: their rows are looked up where they rest.
    """
    sums: dict[str, int] = {}
    for name, size in sizes.items():
        if TABLE.search(name):
            continue
        found = BLOCK.match(name)
        block = found[0] if found else name.rpartition(".")[0]
        sums[block] = sums.get(block, 0) + size
    yield from sums.values()


def _where(depths: Sequence[int], kinds: Sequence[str]) -> list[int]:
    """The depths of the levels whose blocks attend, 0 for the others."""
    return [depth * ("Attn" in kind) for depth, kind in zip(depths, kinds, strict=True)]


def _text(config: Mapping[str, Any]) -> tuple[int, int, int]:
    names = {"hidden_size": 512, "num_hidden_layers": 12, "intermediate_size": 2048}
    width, layers, inner = (int(config.get(name, default)) for name, default in names.items())
    return width, layers, inner


def _each(value: Any, count: int) -> list[int]:
    """One number a level, from a number or a list of them; nested lists count at their deepest."""
    if not isinstance(value, list | tuple):
        return [int(value)] * count
    return [max(_each(item, 1)) if isinstance(item, list | tuple) else int(item) for item in value]
