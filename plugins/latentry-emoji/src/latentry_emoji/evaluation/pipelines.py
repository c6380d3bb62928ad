"""Let a diffusers inpainting pipeline draw what the evaluation asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_emoji.evaluation.tasks import InpaintingTask

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

GREY = (127, 127, 127)


@dataclass(frozen=True)
class Drawing:
    """How a pipeline draws: sampler steps, guidance scale, first seed and pictures at a time."""

    steps: int = 20
    guidance: float = 4.0
    seed: int = 0
    batch: int = 15


def load_pipeline(folder: Path) -> Any:
    """A StableDiffusionXLInpaintPipeline in float32 from a folder, silent and offline."""
    import torch
    from diffusers import StableDiffusionXLInpaintPipeline

    pipeline = StableDiffusionXLInpaintPipeline.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, add_watermarker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw_captions(
    pipeline: Any, captions: Sequence[str], drawing: Drawing | None = None
) -> list[Image.Image]:
    """One picture a caption: inpainting of everything over a grey picture."""
    from PIL import Image

    side = side_of(pipeline)
    grey, everything = Image.new("RGB", (side, side), GREY), Image.new("L", (side, side), 255)
    return _draw(
        pipeline, captions, [grey] * len(captions), [everything] * len(captions), drawing or Drawing()
    )


def paint_tasks(
    pipeline: Any, tasks: Sequence[InpaintingTask], drawing: Drawing | None = None
) -> list[Image.Image]:
    """One picture a task: its caption painted inside its mask."""
    captions, known, masks = zip(*((task.caption, task.known, task.mask) for task in tasks), strict=True)
    return _draw(pipeline, captions, known, masks, drawing or Drawing())


def side_of(pipeline: Any) -> int:
    """The side in pixels that the pipeline's denoiser was made for."""
    return int(pipeline.unet.config.sample_size * pipeline.vae_scale_factor)


def _draw(
    pipeline: Any,
    captions: Sequence[str],
    known: Sequence[Image.Image],
    masks: Sequence[Image.Image],
    drawing: Drawing,
) -> list[Image.Image]:
    import torch

    side, pictures = side_of(pipeline), []
    for start in range(0, len(captions), drawing.batch):
        part = slice(start, start + drawing.batch)
        seeds = range(drawing.seed + start, drawing.seed + start + len(captions[part]))
        made = pipeline(
            prompt=list(captions[part]),
            image=list(known[part]),
            mask_image=list(masks[part]),
            height=side,
            width=side,
            strength=1.0,
            num_inference_steps=drawing.steps,
            guidance_scale=drawing.guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        )
        pictures += made.images
    return pictures
