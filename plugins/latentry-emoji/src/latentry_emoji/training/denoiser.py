"""Make the denoiser and both text encoders, in the layout of SDXL's inpainting model."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from diffusers import UNet2DConditionModel

from latentry_emoji.training.text import TextEncoders, TextSettings, new_text_encoders

TIME_WIDTH = 16


@dataclass(frozen=True)
class DenoiserSettings:
    """The denoiser's size in pixels and channels; the first level has no attention."""

    side: int = 64
    channels: tuple[int, ...] = (48, 96, 192)
    heads: tuple[int, ...] = (2, 4, 8)
    groups: int = 8
    text: TextSettings = field(default_factory=TextSettings)


@dataclass
class Denoiser:
    """The modules that are trained together, for pictures of `side` pixels."""

    unet: UNet2DConditionModel
    text: TextEncoders
    side: int

    @property
    def modules(self) -> tuple[torch.nn.Module, ...]:
        """The denoiser and both text encoders."""
        return self.unet, *self.text.modules

    def __call__(
        self, seen: torch.Tensor, times: torch.Tensor, tokens: torch.Tensor, told: torch.Tensor
    ) -> torch.Tensor:
        """The noise in (count, 9, height, width) inputs; samples not `told` get zeros for their caption.

        `times` are (count,) timesteps, `tokens` (count, 2, length) token numbers of both tokenizers.
        """
        embeddings, pooled = self.text(tokens.transpose(0, 1))
        sizes = seen.new_full((len(seen), 6), self.side)
        sizes[:, 2:4].zero_()
        about = {"text_embeds": pooled * told[:, None], "time_ids": sizes}
        embeddings = embeddings * told[:, None, None]
        noise: torch.Tensor = self.unet(seen, times, embeddings, added_cond_kwargs=about).sample
        return noise


def new_denoiser(settings: DenoiserSettings) -> Denoiser:
    """Untrained modules."""
    down = ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * (len(settings.channels) - 1)
    unet = UNet2DConditionModel(
        sample_size=settings.side // 4,
        in_channels=9,
        out_channels=4,
        down_block_types=down,
        up_block_types=tuple(block.replace("Down", "Up") for block in reversed(down)),
        block_out_channels=settings.channels,
        layers_per_block=1,
        norm_num_groups=settings.groups,
        cross_attention_dim=settings.text.joined_width,
        attention_head_dim=settings.heads,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_WIDTH,
        projection_class_embeddings_input_dim=settings.text.widths[1] + 6 * TIME_WIDTH,
    )
    text = new_text_encoders(settings.text)
    return Denoiser(unet.to(memory_format=torch.channels_last), text, settings.side)
