"""The components of tiny models, made as a family makes them, and arguments of many shapes for each."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from latentry_sdk import Component
from latentry_sdk.testing import tiny
from latentry_sdk.testing.tiny import CHANNELS, NUMBERS, SEED, TOKENS, VAES, WIDTHS, WORDS

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

Size = tuple[int, int]
Arguments = Callable[[int, Size], "tuple[Tensor, ...]"]


@dataclass(frozen=True)
class Part:
    """A component, and arguments for it: `arguments(batch, (height, width))`, the same at each call.

    The size is that of the latents, `factor` of which is that of the picture; `spatial` says that it matters.
    """

    component: Component
    arguments: Arguments
    factor: int
    spatial: bool = True


PARTS = (
    "sd.text_encoder",
    "sd.unet",
    "sd.vae_encoder",
    "sd.vae_decoder",
    "sdxl.text_encoder",
    "sdxl.text_encoder_2",
    "sdxl.unet",
)
"""Every kind of component that Stable Diffusion 1 and XL have; both have the same autoencoder."""


def make_part(name: str, *, seed: int = SEED) -> Part:
    """A new component, with the same weights for the same seed, frozen, in float32.

    `name` is one in `PARTS`, or has the layout "wide" or "large" instead.
    """
    import torch

    layout, _, kind = name.partition(".")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MAKERS[kind](layout)


def kinds(parts: Collection[str]) -> list[str]:
    """The kinds of components among those that an optimizer or quantizer names, "*" for all of them."""
    return [kind for kind in MAKERS if {kind, "*"} & set(parts)]


def as_component(name: str, module: "Module", arguments: Arguments, *, batch: int = 1) -> Component:
    """A component of a module, whose digest is of its code and weights; its example has latents of 8 × 8."""

    def digest() -> str:
        total = sha256(repr(module).encode())
        for key, tensor in sorted(module.state_dict().items()):
            total.update(key.encode() + tensor.contiguous().cpu().numpy().tobytes())
        return total.hexdigest()

    frozen = module.eval().requires_grad_(False)
    return Component(name, "torch", frozen, lambda: arguments(batch, (8, 8)), digest)


def _text_encoder(layout: str) -> Part:
    return _encoding("text_encoder", layout, tiny.text_encoder(WIDTHS[layout][0]))


def _text_encoder_2(layout: str) -> Part:
    return _encoding("text_encoder_2", layout, tiny.text_encoder(WIDTHS[layout][-1], projection=True))


def _encoding(name: str, layout: str, model: Any) -> Part:
    import torch

    class TextEncoder(torch.nn.Module):
        """`(ids) -> (hidden states, pooled)`, as Stable Diffusion takes them: XL skips the last layer."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def extra_repr(self) -> str:
            return layout

        def forward(self, ids: "Tensor") -> "tuple[Tensor, Tensor]":
            output = self.model(ids, output_hidden_states=True)
            pooled = output.text_embeds if "text_embeds" in output else output.pooler_output
            return torch.stack(output.hidden_states[::-1][int(layout == "sdxl") :]), pooled

    def arguments(batch: int, _size: Size) -> "tuple[Tensor, ...]":
        drawn = torch.randint(0, WORDS - 2, (batch, TOKENS), generator=torch.Generator().manual_seed(SEED))
        drawn[:, -1] = WORDS - 1
        return (drawn,)

    return Part(as_component(name, TextEncoder(), arguments), arguments, _factor(layout), spatial=False)


def _unet(layout: str) -> Part:
    import torch

    model = tiny.unet(layout)

    class Unet(torch.nn.Module):
        """`(sample, timestep, encoder_hidden_states[, text_embeds, time_ids]) -> prediction`."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self,
            sample: "Tensor",
            timestep: "Tensor",
            encoder_hidden_states: "Tensor",
            text_embeds: "Tensor | None" = None,
            time_ids: "Tensor | None" = None,
        ) -> "Tensor":
            added = None if text_embeds is None else {"text_embeds": text_embeds, "time_ids": time_ids}
            found: tuple[Tensor] = self.model(
                sample, timestep, encoder_hidden_states, added_cond_kwargs=added, return_dict=False
            )
            return found[0]

    def arguments(batch: int, size: Size) -> "tuple[Tensor, ...]":
        text = _drawn(batch, TOKENS, sum(WIDTHS[layout]))
        plain = _drawn(batch, CHANNELS, *size), torch.tensor([321.5]), text
        xl = _drawn(batch, WIDTHS[layout][-1]), _drawn(batch, NUMBERS).abs() * 64
        return (*plain, *xl) if layout == "sdxl" else plain

    return Part(as_component("unet", Unet(), arguments, batch=2), arguments, _factor(layout))


def _vae_encoder(layout: str) -> Part:
    import torch

    model = _without(tiny.vae(layout), "decoder", "post_quant_conv")

    class VaeEncoder(torch.nn.Module):
        """`(pixels) -> latents`: the mean of the posterior."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: "Tensor") -> "Tensor":
            mean: Tensor = self.model.encode(pixels).latent_dist.mode()
            return mean

    def arguments(batch: int, size: Size) -> "tuple[Tensor, ...]":
        return (_drawn(batch, 3, *(side * _factor(layout) for side in size)).clamp(-1, 1),)

    return Part(as_component("vae_encoder", VaeEncoder(), arguments), arguments, _factor(layout))


def _vae_decoder(layout: str) -> Part:
    import torch

    model = _without(tiny.vae(layout), "encoder", "quant_conv")

    class VaeDecoder(torch.nn.Module):
        """`(latents) -> pixels` in -1 … 1."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, latents: "Tensor") -> "Tensor":
            found: tuple[Tensor] = self.model.decode(latents, return_dict=False)
            return found[0]

    def arguments(batch: int, size: Size) -> "tuple[Tensor, ...]":
        return (_drawn(batch, CHANNELS, *size),)

    return Part(as_component("vae_decoder", VaeDecoder(), arguments), arguments, _factor(layout))


def _factor(layout: str) -> int:
    """How many pixels a latent stands for, along each side."""
    return 1 << (len(VAES[layout]) - 1)


def _without(model: Any, *parts: str) -> Any:
    for name in parts:
        delattr(model, name)
    return model


def _drawn(*shape: int) -> "Tensor":
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(SEED))


MAKERS: dict[str, Callable[[str], Part]] = {
    "text_encoder": _text_encoder,
    "text_encoder_2": _text_encoder_2,
    "unet": _unet,
    "vae_encoder": _vae_encoder,
    "vae_decoder": _vae_decoder,
}
