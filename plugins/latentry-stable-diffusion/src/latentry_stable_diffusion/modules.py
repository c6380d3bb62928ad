"""The callables that devices place: thin modules with positional tensor arguments, which tracers understand.

The classes are made inside functions so that importing this module imports no torch. They hold no model by
a closure: a copy of a module would keep the weights of the module that it was copied from.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


MOST_SKIPPED = 12
"""Layers that can be left out, and no more: one hidden state of each is given back."""


def text_encoder(model: Any, *, penultimate: bool) -> "Module":
    """`(input_ids) -> (hidden states, pooled)`: (layers, batch, tokens, width), where [k] lack k last layers.

    Stable Diffusion 1 and 2 take them normed, XL (`penultimate`) from before the last layer and as they are.
    """
    import torch
    from torch.nn import Identity, Module

    class TextEncoder(Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model
            self.norm = Identity() if penultimate else getattr(model, "text_model", model).final_layer_norm

        def forward(self, input_ids: "Tensor") -> "tuple[Tensor, Tensor]":
            output = self.model(input_ids, output_hidden_states=True)
            pooled = output.text_embeds if "text_embeds" in output else output.pooler_output
            backwards = output.hidden_states[::-1][int(penultimate) :][:MOST_SKIPPED]
            return torch.stack([self.norm(states) for states in backwards]), pooled

    return frozen(TextEncoder(model))


def unet(model: Any) -> "Module":
    """`(sample, timestep, encoder_hidden_states[, text_embeds, time_ids]) -> prediction`."""
    from torch.nn import Module

    class Unet(Module):
        def __init__(self, model: Any) -> None:
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
            output: tuple[Tensor] = self.model(
                sample, timestep, encoder_hidden_states, added_cond_kwargs=added, return_dict=False
            )
            return output[0]

    return frozen(Unet(model))


def vae_encoder(model: Any) -> "Module":
    """`(pixels) -> latents`: the mean of the posterior, not scaled."""
    from torch.nn import Module

    class VaeEncoder(Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = _without(model, "decoder", "post_quant_conv")

        def forward(self, pixels: "Tensor") -> "Tensor":
            mean: Tensor = self.model.encode(pixels).latent_dist.mode()
            return mean

    return frozen(VaeEncoder(model))


def vae_decoder(model: Any) -> "Module":
    """`(latents) -> pixels` in -1 … 1, from latents that are not scaled."""
    from torch.nn import Module

    class VaeDecoder(Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = _without(model, "encoder", "quant_conv")

        def forward(self, latents: "Tensor") -> "Tensor":
            output: tuple[Tensor] = self.model.decode(latents, return_dict=False)
            return output[0]

    return frozen(VaeDecoder(model))


def frozen(module: "Module") -> "Module":
    """The module, for inference only: no dropout, no gradients."""
    return module.eval().requires_grad_(False)


def _without(model: Any, *parts: str) -> Any:
    """The same model lacking `parts`, so that each half of a VAE can be elsewhere and still tile its work."""
    from copy import copy

    half = copy(model)
    half._modules = {name: child for name, child in model._modules.items() if name not in parts}
    return half
