"""What a call gives back: pictures in base64, the fields as they were read, and `info` as JSON text."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse

from latentry_api_a1111.calls import Call
from latentry_api_a1111.fields import IGNORED, Asked, Img2Img
from latentry_api_a1111.info import info
from latentry_api_a1111.png import texts
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import QueuedJob

PARAMETERS = "parameters"
"""The keyword of AUTOMATIC1111's text in a picture."""


class Pictures(BaseModel):
    """The answer to txt2img and img2img."""

    images: list[str]
    parameters: dict[str, Any]
    info: str


def reply(asked: Asked, call: Call, jobs: Sequence[QueuedJob], blobs: Blobs) -> JSONResponse:
    """The answer of a call whose jobs have ended; it reads every picture, so not on the event loop."""
    kept = [artifact for job in jobs if job.outcome for artifact in job.outcome.artifacts]
    files = [blobs.read(artifact.digest) for artifact in kept]
    infotexts = [texts(data, "the picture").get(PARAMETERS, "") for data in files]
    return JSONResponse(
        {
            "images": [b64encode(data).decode() for data in files] if asked.send_images else [],
            "parameters": echo(asked),
            "info": json.dumps(info(asked, call, jobs, infotexts)),
        }
    )


def echo(asked: Asked) -> Mapping[str, Any]:
    """The fields of the call; inputs are null unless they are wanted, and what is not read is left out."""
    fields = asked.model_dump(mode="json", exclude=set(IGNORED))
    hidden = isinstance(asked, Img2Img) and not asked.include_init_images
    return {**fields, "init_images": None, "mask": None} if hidden else fields
