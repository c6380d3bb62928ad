"""Self-attention that some rows of a batch go without."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from latentry_sdk import Undo, UnknownName

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention
    from torch import Tensor
    from torch.nn import Module

Attentions = Mapping[str, "Attention"]
"""Self-attentions by their names within the UNet: down_blocks.1.attentions.0.transformer_blocks.0.attn1 …"""


def self_attentions(module: "Module") -> Attentions:
    """The self-attentions of the UNet within `module`."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention

    unet = next((part for part in module.modules() if isinstance(part, UNet2DConditionModel)), None)
    parts = unet.named_modules() if unet is not None else ()
    return {name: part for name, part in parts if isinstance(part, Attention) and not part.is_cross_attention}


def chosen(found: Attentions, layers: Iterable[str]) -> Sequence["Attention"]:
    """The self-attentions in the parts of the UNet that `layers` name; `UnknownName` lists all such parts."""
    picked: dict[str, Attention] = {}
    for layer in layers:
        start = own_name(layer)
        inside = {name: part for name, part in found.items() if f"{name}.".startswith(f"{start}.")}
        if not inside:
            raise UnknownName("layer with self-attention", layer, legal_names(found))
        picked |= inside
    return list(picked.values())


def own_name(layer: str) -> str:
    """The module's own name: "up_blocks.0.attentions.1" for "up.block_0.attentions_1"."""
    name = re.sub(r"^(down|up)\.block_(\d+)", r"\1_blocks.\2", layer)
    name = re.sub(r"^mid(?=\.|$)", "mid_block", name)
    name = re.sub(r"^(down|up)$", r"\1_blocks", name)
    return re.sub(r"\battentions_(\d+)", r"attentions.\1", name)


def legal_names(found: Iterable[str]) -> set[str]:
    """The parts with self-attention by short names: "mid", "down.block_1", "up.block_0.attentions_1" …"""
    names: set[str] = set()
    for name in found:
        side, number, attention = re.findall(r"^(\w+?)_blocks?(?:\.(\d+))?\.attentions\.(\d+)", name)[0]
        block = f"{side}.block_{number}" if number else side
        names |= {side, block, f"{block}.attentions_{attention}"}
    return names


@dataclass
class Perturbation:
    """What all perturbed layers of a job share: which rows of the next batch go without attention."""

    rows: slice = field(default_factory=lambda: slice(0))

    def turn(self, rows: slice) -> None:
        """Have the model's next call perturb these rows."""
        self.rows = rows

    def install(self, layers: Sequence["Attention"]) -> Undo:
        """Perturb `layers`; the undo gives each the processor that it had."""
        with ExitStack() as undos:
            for layer in layers:
                before = layer.processor
                inner = before.inner if isinstance(before, Perturbed) else before
                layer.set_processor(Perturbed(inner, self))
                undos.callback(partial(layer.set_processor, before))
            return undos.pop_all().close


@dataclass(frozen=True)
class Perturbed:
    """An attention processor that leaves the attention to `inner`, but for the perturbed rows.

    Their attention map is the identity: each place gets its own value, section 4.1 of arXiv:2403.17377.
    """

    inner: Any
    perturbation: Perturbation

    def __call__(self, attention: "Attention", hidden: "Tensor", *more: Any, **named: Any) -> "Tensor":
        """(rows, places, channels) to the same shape."""
        import torch

        rows, places = self.perturbation.rows, range(len(hidden))
        kept = [place for place in places if place not in places[rows]]
        out = torch.empty_like(hidden)
        out[kept] = self.inner(attention, hidden[kept], *more, **named)
        project, dropout = attention.to_out
        out[rows] = dropout(project(attention.to_v(hidden[rows])))
        return out
