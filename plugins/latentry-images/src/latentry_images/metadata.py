"""What a picture says of how it was made: the text that other programs read, and our own JSON."""

import hashlib
import json
from pathlib import Path
from typing import Any

from latentry_sdk import Job

VERSION = "latentry 0.1"


def parameters_text(job: Job, index: int, size: tuple[int, int]) -> str:
    """The record as A1111 writes it: prompt, negative prompt, one line of `Key: value`; `size` in pixels."""
    plan = job.plan
    width, height = size
    fields = {
        "Steps": job.applied["steps"],
        "Sampler": plan.sampler.label or plan.sampler.name,
        "Schedule type": plan.scheduler.label or plan.scheduler.name,
        "CFG scale": plan.request.guidance,
        "Seed": plan.seeds[index],
        "Size": f"{width}x{height}",
        "Model": plan.header.path.stem,
        "Version": VERSION,
    }
    lines = [clean(plan.request.prompt)]
    if plan.request.negative:
        lines.append(f"Negative prompt: {clean(plan.request.negative)}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in fields.items()))
    return "\n".join(lines)


def document(job: Job, index: int) -> str:
    """Everything as asked and as applied, as one line of ASCII JSON."""
    request = job.plan.request.model_dump(mode="json", exclude={"inputs"})
    request["inputs"] = {name: _digest(value) for name, value in job.plan.request.inputs.items()}
    return json.dumps(
        {"version": VERSION, "request": request, "seed": job.plan.seeds[index], "applied": job.applied},
        default=str,
    )


def clean(text: str) -> str:
    """`text` without control characters (but newlines) and lone surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return "".join(char for char in text if char == "\n" or char.isprintable() or char.isspace()).replace(
        "\x00", ""
    )


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text) if any(char in text for char in ",:\n") else text


def _digest(value: Any) -> str:
    if isinstance(value, str | Path):
        value = Path(value).read_bytes()
    if not isinstance(value, bytes):
        value = value.tobytes()
    return f"sha256:{hashlib.sha256(value).hexdigest()}"
