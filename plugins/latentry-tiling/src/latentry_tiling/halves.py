"""What the halves of an AutoencoderKL do in pieces, and what they do with the whole picture."""

from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


class Half:
    """A Decoder or an Encoder of diffusers, which is not kept alive by this.

    The middle attends to the whole picture, where it is smallest: it comes first in a decoder, and last in an
    encoder. The rest has convolutions and norms alone.
    """

    def __init__(self, module: "Module", *, decodes: bool) -> None:
        self._module, self.decodes = ref(module), decodes

    @property
    def module(self) -> Any:
        """The module."""
        return self._module()

    @property
    def levels(self) -> "Any":
        """The blocks that are worked on in pieces."""
        return self.module.up_blocks if self.decodes else self.module.down_blocks

    @property
    def factor(self) -> int:
        """How many pixels a latent's side stands for."""
        changes = "upsamplers" if self.decodes else "downsamplers"
        return int(2 ** sum(getattr(level, changes) is not None for level in self.levels))

    def pieced(self) -> "list[Module]":
        """The modules that pieces go through."""
        ends = [self.module.conv_norm_out, self.module.conv_out] if self.decodes else [self.module.conv_in]
        return [*self.levels, *ends]

    def first(self, values: "Tensor") -> "Tensor":
        """What the pieces are cut from."""
        return self._middle(self.module.conv_in(values)) if self.decodes else values

    def piece(self, values: "Tensor") -> "Tensor":
        """One piece's result."""
        values = values if self.decodes else self.module.conv_in(values)
        for level in self.levels:
            values = level(values)
        return self._end(values) if self.decodes else values

    def last(self, values: "Tensor") -> "Tensor":
        """What the put-together pieces give."""
        return values if self.decodes else self._end(self._middle(values))

    def _middle(self, values: "Tensor") -> "Tensor":
        found: Tensor = self.module.mid_block(values)
        return found

    def _end(self, values: "Tensor") -> "Tensor":
        found: Tensor = self.module.conv_out(self.module.conv_act(self.module.conv_norm_out(values)))
        return found


def half_in(module: "Module") -> Half | None:
    """The one half of an AutoencoderKL that is in a component."""
    from diffusers.models.autoencoders.vae import Decoder, Encoder

    found = [part for part in module.modules() if type(part) in (Decoder, Encoder)]
    return Half(found[0], decodes=isinstance(found[0], Decoder)) if len(found) == 1 else None
