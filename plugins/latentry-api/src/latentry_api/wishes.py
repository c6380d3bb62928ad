"""Read a job from the JSON that a client sends."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import from_json

from latentry_api.errors import NotJson
from latentry_sdk import Count, Field, InvalidInput, InvalidRequest, Number, Options, parsed
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import Timeouts
from latentry_sdk.service import Wish
from latentry_sdk.sources import from_base64

MOST_INPUTS = 64
Fetch = Callable[[str], bytes]
"""Gives the picture at a URL, or refuses."""

OWN = ("inputs", "priority", "timeouts")


class TimeoutOptions(Options):
    """Seconds after which the job is given up."""

    queue: Number | None = Field(None, gt=0, description="Waiting in the queue")
    load: Number | None = Field(None, gt=0, description="Loading the model")
    run: Number | None = Field(None, gt=0, description="Running, after that")


class JobOptions(Options):
    """What a job says beside its request."""

    priority: Count = Field(0, ge=-100, le=100, description="Higher is sooner; above 0 takes the scope admin")
    timeouts: TimeoutOptions = Field(TimeoutOptions(), description="Seconds after which it is given up")


class BlobInput(Options):
    """An input that was sent before."""

    blob: str = Field(pattern="^[0-9a-f]{64}$", description="The digest that `POST /api/v1/blobs` gave")


class UrlInput(Options):
    """A picture on the public internet, where the server was started with `--fetch-urls`."""

    url: str = Field(max_length=4096, description="An address of http or https")


def wish_of(body: bytes, blobs: Blobs, fetch: Fetch, key: str | None) -> Wish:
    """The job that a body asks for; `NotJson`, `InvalidRequest` or `InvalidInput` where it is none."""
    fields = _object(body)
    own = parsed(JobOptions, {name: fields[name] for name in OWN[1:] if name in fields})
    given = fields.get("inputs", {})
    if not isinstance(given, dict) or len(given) > MOST_INPUTS:
        raise InvalidRequest(f"inputs: an object with at most {MOST_INPUTS} inputs by name is wanted")
    inputs = {str(name): _bytes(value, f"inputs.{name[:80]}", blobs, fetch) for name, value in given.items()}
    request = {name: value for name, value in fields.items() if name not in OWN}
    return Wish(request, inputs, own.priority, key, Timeouts(**dict(own.timeouts)))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as exc:
        raise NotJson(f"the body is no JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise NotJson("the body is no JSON object")
    return found


def _bytes(given: Any, name: str, blobs: Blobs, fetch: Fetch) -> bytes:
    if isinstance(given, dict) and "url" in given:
        return fetch(parsed(UrlInput, given, where=f"{name}: ").url)
    if isinstance(given, dict):
        return blobs.read(parsed(BlobInput, given, where=f"{name}: ").blob)
    if not isinstance(given, str):
        raise InvalidInput(f'{name} is neither base64, {{"blob": digest}} nor {{"url": address}}')
    return from_base64(given, name)
