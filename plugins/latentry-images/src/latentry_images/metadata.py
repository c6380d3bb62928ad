"""What a picture says of how it was made: the text that other programs read, and our own JSON."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from latentry_images.hashing import SHORT
from latentry_images.second_pass import is_larger, second_pass
from latentry_sdk import Job
from latentry_sdk.sources import digest_of

NEGATIVE = "Negative prompt:"
LINE_ENDS = dict.fromkeys(map(ord, "\r\x0b\x0c\x85\u2028\u2029"), "\n")


def parameters_text(job: Job, index: int, size: tuple[int, int], *, room: int | None = None) -> str:
    """The record as A1111 writes it: prompt, negative prompt, one line of `Key: value`.

    `size` is the picture's in pixels; `room` cuts each prompt to so many characters.
    """
    prompt, negative = texts(job, index)
    lines = [_prompt(prompt, room)]
    if negative:
        lines.append(f"{NEGATIVE} {_prompt(negative, room)}")
    fields = settings(job, index, size)
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in fields.items()))
    return "\n".join(lines).strip()


def texts(job: Job, index: int) -> tuple[str, str]:
    """Prompt and negative prompt of an image: as its choices fell, where it had any, otherwise as asked."""
    drawn = job.applied.get("prompts")
    if drawn:
        return drawn[index]["prompt"], drawn[index]["negative"]
    return job.plan.request.prompt, job.plan.request.negative


def seed_of(job: Job, index: int) -> int:
    """The seed an image was made from: the plan's, unless a stage took others."""
    seeds: Sequence[int] = job.applied.get("seeds", job.plan.seeds)
    return seeds[index]


def settings(job: Job, index: int, size: tuple[int, int]) -> Mapping[str, Any]:
    """The values of the last line, by the names that A1111 gives them."""
    plan, applied = job.plan, job.applied
    path = plan.header.path
    fields = {
        "Steps": applied.get("steps", plan.request.steps),
        "Sampler": plan.sampler.label or plan.sampler.name,
        "Schedule type": plan.scheduler.label or plan.scheduler.name,
        "CFG scale": plan.request.guidance,
        "Seed": seed_of(job, index),
        **_variation(applied, index),
        "Size": "x".join(map(str, plan.size if is_larger(job) else size)),
        "Model hash": applied.get("model", {}).get("sha256", "")[:SHORT],
        "Model": path.stem if path.suffix == ".safetensors" else path.name,
        **second_pass(job),
        "Version": f"latentry {host_version()}",
    }
    return {key: value for key, value in fields.items() if value != ""}


def document(job: Job, index: int) -> str:
    """Everything as asked and as applied, as one line of ASCII JSON; inputs by their digests."""
    request = job.plan.request.model_dump(exclude={"inputs"})
    known = job.applied.get("inputs", {})
    inputs = job.plan.request.inputs
    request["inputs"] = {name: known.get(name) or digest_of(value) for name, value in inputs.items()}
    whole = {
        "latentry": host_version(),
        "request": request,
        "index": index,
        "seed": seed_of(job, index),
        "applied": job.applied,
    }
    return json.dumps(whole, default=str)


def clean(text: str) -> str:
    """`text` with every line end as a newline, without control characters and lone surrogates."""
    text = text.replace("\r\n", "\n").translate(LINE_ENDS)
    text = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")


@cache
def host_version() -> str:
    """The version of the installed host, which is looked up once."""
    try:
        return version("latentry")
    except PackageNotFoundError:
        return "unknown"


def _variation(applied: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    found = applied.get("variation")
    if not found:
        return {}
    return {"Variation seed": found["seeds"][index], "Variation seed strength": found["strength"]}


def _prompt(text: str, room: int | None) -> str:
    """The text such that no reader takes a part of it for the start of the negative prompt."""
    return clean(text).replace(NEGATIVE, "Negative prompt :")[:room]


def _quoted(value: Any) -> str:
    text = clean(str(value))
    return json.dumps(text) if any(char in text for char in ",:\n") else text
