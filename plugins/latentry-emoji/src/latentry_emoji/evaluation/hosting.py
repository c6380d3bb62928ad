"""Let a host draw what the evaluation asks for: with any device, quantizer, sampler or model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from latentry_emoji.evaluation.tasks import InpaintingTask

if TYPE_CHECKING:
    from PIL import Image

    from latentry_sdk import Host, Request


def draw_captions(host: Host, asked: Request, captions: Sequence[str]) -> list[Image.Image]:
    """One picture a caption, made as `asked` otherwise, with seeds that count up from its seed."""
    return [
        _made(host, asked, index, task="txt2img", prompt=caption) for index, caption in enumerate(captions)
    ]


def paint_tasks(host: Host, asked: Request, tasks: Sequence[InpaintingTask]) -> list[Image.Image]:
    """One picture a task: its caption painted inside its mask, from noise alone."""
    options = {**asked.options, "inpaint": {**asked.options.get("inpaint", {}), "strength": 1.0}}
    return [
        _made(
            host,
            asked,
            index,
            task="inpaint",
            prompt=task.caption,
            inputs={"image": task.known, "mask": task.mask},
            options=options,
        )
        for index, task in enumerate(tasks)
    ]


def _made(host: Host, asked: Request, index: int, **changes: Any) -> Image.Image:
    request = asked.model_copy(update={"seed": (asked.seed or 0) + index, **changes})
    return host.run(request).artifacts[0].open()
