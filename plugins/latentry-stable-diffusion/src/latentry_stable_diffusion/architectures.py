"""The registry of architectures: what shows each in a folder's configuration or a single file's tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parent / "configs"
UNET = "model.diffusion_model."
VAE = "first_stage_model."
CONV_IN = f"{UNET}input_blocks.0.0.weight"
CLIP_POSITIONS = "transformer.text_model.embeddings.position_embedding.weight"
CONTEXT = "transformer_blocks.0.attn2.to_k.weight"
LABELS = f"{UNET}label_emb.0.0.weight"


@dataclass(frozen=True)
class Architecture:
    """One layout of text encoders and UNet.

    `encoders` maps each text encoder to its prefix in a single file; `shapes` are tensors that such a file
    must hold, `absent` ones that mean another model (unCLIP, upscaler). `text_time` UNets take the pooled
    prompt and the picture's size. `size` is the native side of a single file's pictures.
    """

    name: str
    encoders: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    size: int
    text_time: bool = False
    absent: tuple[str, ...] = (LABELS, f"{UNET}label_emb.weight")

    @property
    def configs(self) -> Path:
        """The diffusers folder, without weights, for its single files."""
        return CONFIGS / self.name


SD1 = Architecture(
    "sd1",
    encoders={"text_encoder": "cond_stage_model."},
    shapes={
        f"cond_stage_model.{CLIP_POSITIONS}": (77, 768),
        f"{UNET}output_blocks.11.1.{CONTEXT}": (320, 768),
    },
    size=512,
)
SD2 = Architecture(
    "sd2",
    encoders={"text_encoder": "cond_stage_model."},
    shapes={
        "cond_stage_model.model.positional_embedding": (77, 1024),
        f"{UNET}output_blocks.11.1.{CONTEXT}": (320, 1024),
    },
    size=512,
)
SDXL = Architecture(
    "sdxl",
    encoders={"text_encoder": "conditioner.embedders.0.", "text_encoder_2": "conditioner.embedders.1."},
    shapes={
        f"conditioner.embedders.0.{CLIP_POSITIONS}": (77, 768),
        "conditioner.embedders.1.model.positional_embedding": (77, 1280),
        f"{UNET}middle_block.1.transformer_blocks.9.attn2.to_k.weight": (1280, 2048),
        LABELS: (1280, 2816),
    },
    size=1024,
    text_time=True,
    absent=(),
)
REFINER = Architecture(
    "sdxl-refiner",
    encoders={"text_encoder_2": "conditioner.embedders.0."},
    shapes={
        "conditioner.embedders.0.model.positional_embedding": (77, 1280),
        f"{UNET}middle_block.1.transformer_blocks.3.attn2.to_k.weight": (1536, 1280),
        LABELS: (1536, 2560),
    },
    size=1024,
    text_time=True,
    absent=(),
)
ARCHITECTURES = {architecture.name: architecture for architecture in (SD1, SD2, SDXL, REFINER)}
NEVER = ("edm_mean", "control_model.time_embed.0.weight")  # Playground 2.5, ControlNet


def by_config(unet: Mapping[str, Any], encoders: frozenset[str]) -> Architecture | None:
    """The architecture whose text encoders and kind of conditioning a folder has; SD 2 projects linearly."""
    text_time = unet.get("addition_embed_type") == "text_time"
    fitting = [
        architecture
        for architecture in ARCHITECTURES.values()
        if architecture.encoders.keys() == encoders and architecture.text_time == text_time
    ]
    if len(fitting) > 1:
        return SD2 if unet.get("use_linear_projection") else SD1
    return fitting[0] if fitting else None


def by_shapes(shapes: Mapping[str, tuple[int, ...]]) -> Architecture | None:
    """The architecture whose tensors a single file has, all of them and in their shapes."""
    common = {f"{VAE}encoder.conv_out.weight": (8, 512, 3, 3), f"{VAE}decoder.conv_in.weight": (512, 4, 3, 3)}
    for architecture in ARCHITECTURES.values():
        wanted = {**common, **architecture.shapes}
        if any(key in shapes for key in (*architecture.absent, *NEVER)):
            continue
        if all(shapes.get(key) == shape for key, shape in wanted.items()):
            return architecture
    return None
