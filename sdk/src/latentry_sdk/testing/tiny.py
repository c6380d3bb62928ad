"""Small models with the layouts of Stable Diffusion 1 and XL: random weights, a moment to make."""

from typing import Any

SEED = 20
CHANNELS = 4
TOKENS = 77
WORDS = 200
WIDTHS = {"sd": (32,), "sdxl": (32, 48), "wide": (128,), "large": (256,)}
"""The widths of the text encoders, by layout: two tiny ones, and two with the layout of the first.

"wide" has rows that quantizers can group, "large" activations that outweigh what is counted once a layer.
"""

UNETS = {"sd": (32, 64), "sdxl": (32, 64), "wide": (64, 128), "large": (160, 320)}
VAES = {"sd": (16, 32), "sdxl": (16, 32), "wide": (32, 64), "large": (128, 256, 512, 512)}
"""Channels by level."""

NUMBERS = 6
"""What a UNet of XL is told about the picture's size."""


def text_encoder(width: int, *, projection: bool = False) -> Any:
    """A CLIP text model of transformers, of three layers."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=WORDS,
        max_position_embeddings=TOKENS,
        hidden_size=width,
        intermediate_size=2 * width,
        num_attention_heads=4,
        num_hidden_layers=3,
        projection_dim=width,
        bos_token_id=WORDS - 2,
        eos_token_id=WORDS - 1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)


def unet(layout: str) -> Any:
    """A UNet of diffusers with two levels, one of them with cross attention."""
    from diffusers import UNet2DConditionModel

    encoders = WIDTHS[layout]
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=UNETS[layout],
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=8,
        cross_attention_dim=sum(encoders),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **(_text_time(encoders[-1]) if layout == "sdxl" else {}),
    )


def _text_time(pooled: int) -> dict[str, Any]:
    return {
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": NUMBERS * 8 + pooled,
    }


def vae(layout: str) -> Any:
    """A KL autoencoder of diffusers, which halves the picture at each level but the first."""
    from diffusers import AutoencoderKL

    widths = VAES[layout]
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        norm_num_groups=8,
        layers_per_block=1,
        latent_channels=CHANNELS,
    )
