"""Replies as OpenAI's clients read them: pictures and models."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from latentry_api_openai.asking import Asked
from latentry_api_openai.failures import JobFailed
from latentry_api_openai.headers import picture_size
from latentry_sdk import ModelEntry
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import QueuedJob


def pictures_of(job: QueuedJob, blobs: Blobs) -> list[bytes]:
    """The files that an ended job made; `JobFailed` where it did not end well."""
    if job.status != "done" or job.outcome is None:
        raise JobFailed(job)
    return [blobs.read(artifact.digest) for artifact in job.outcome.artifacts]


def images(job: QueuedJob, asked: Asked, pictures: list[bytes]) -> Mapping[str, Any]:
    """The reply of both ways to ask for pictures; `size` is what they have, not what was asked for."""
    return {
        "created": int(job.created),
        "data": [{"b64_json": encoded(picture)} for picture in pictures],
        "output_format": asked.output_format,
        "quality": asked.level,
        "size": shown_size(pictures[0]),
    }


def encoded(picture: bytes) -> str:
    """A file as base64."""
    return b64encode(picture).decode()


def shown_size(picture: bytes) -> str:
    """`512x768`, from the file's header."""
    return "{}x{}".format(*picture_size(picture))


def model(entry: ModelEntry) -> Mapping[str, Any]:
    """A model as it is listed; `created` is when its file or folder was changed last."""
    try:
        created = int(entry.path.stat().st_mtime)
    except OSError:  # it was taken away since it was listed
        created = 0
    return {"id": entry.name, "object": "model", "created": created, "owned_by": "latentry"}
