"""Errors as OpenAI's clients read them, with what keeps a client from asking again in vain."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from latentry_sdk import InvalidRequest, LatentryError, UnknownName, UserError
from latentry_sdk.queue import QueuedJob, QueueFull
from latentry_sdk.service import Draining, NoRoom, NotAllowed

log = logging.getLogger(__name__)
DRAINING_SECONDS = 30
"""When a server that stops may be back."""

INVALID = "invalid_request_error"
MISTAKES = frozenset(
    {"invalid_request", "invalid_input", "invalid_model", "unknown_name", "unavailable", "user_error"}
)
"""Reasons of a job's failure that its client can mend."""

CODES = {"extra_forbidden": "unknown_parameter", "missing": "missing_required_parameter"}
PARAMS = {
    "width": "size",
    "height": "size",
    "batch": "n",
    "negative": "negative_prompt",
    "format": "output_format",
}
"""What this API calls a request's fields, where it has a word of its own."""


class BadParameter(InvalidRequest):
    """A parameter is wrong in a way that only this API knows; `param` is its name."""

    def __init__(self, param: str, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class UnknownModel(UnknownName):
    """No model has this name."""


class JobFailed(LatentryError):
    """A job ended without pictures; `type` is the stable name of why."""

    def __init__(self, job: QueuedJob) -> None:
        error = (job.outcome.error if job.outcome else None) or {}
        super().__init__(str(error.get("message") or f"the job was {job.status}"), fix=error.get("fix"))
        self.type = str(error.get("type") or job.status)


@dataclass(frozen=True)
class Failure:
    """A reply that is an error; after `seconds` the same request may do better, or never for None."""

    message: str
    status: int = 400
    type: str = INVALID
    code: str | None = "invalid_value"
    param: str | None = None
    seconds: float | None = None

    def body(self) -> Mapping[str, Any]:
        """`{"error": {message, type, param, code}}`."""
        named = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": named}

    def response(self) -> JSONResponse:
        """The whole reply. OpenAI's clients retry 408, 409, 429 and 5xx unless a header says not to."""
        retry = {"retry-after": str(ceil(self.seconds))} if self.seconds else {"x-should-retry": "false"}
        return JSONResponse(self.body(), self.status, retry)


@singledispatch
def failure(exc: Exception) -> Failure:
    """What to reply to a request that ended so, by the kind of the exception."""
    log.error("a request failed", exc_info=exc)
    message = str(exc) if isinstance(exc, LatentryError) else "the server failed; its log says how"
    return Failure(message, 500, "server_error", "internal_error")


@failure.register
def _(exc: UserError) -> Failure:
    return Failure(str(exc))


@failure.register
def _(exc: InvalidRequest) -> Failure:
    if not isinstance(exc.__cause__, ValidationError):
        return Failure(str(exc))
    first = exc.__cause__.errors()[0]
    param = str(first["loc"][0]) if first["loc"] else None
    return Failure(
        str(exc), param=PARAMS.get(param or "", param), code=CODES.get(first["type"], "invalid_value")
    )


@failure.register
def _(exc: BadParameter) -> Failure:
    return Failure(str(exc), param=exc.param, code=exc.code)


@failure.register
def _(exc: UnknownModel) -> Failure:
    return Failure(str(exc), 404, param="model", code="model_not_found")


@failure.register
def _(exc: NotAllowed) -> Failure:
    return Failure(str(exc), 403, "permission_error", "insufficient_permissions")


@failure.register
def _(exc: QueueFull) -> Failure:
    return Failure(str(exc), 429, "rate_limit_error", "rate_limit_exceeded", seconds=max(exc.seconds, 1))


@failure.register
def _(exc: Draining) -> Failure:
    return Failure(str(exc), 503, "server_error", "draining", seconds=DRAINING_SECONDS)


@failure.register
def _(exc: NoRoom) -> Failure:
    return Failure(str(exc), 507, "server_error", "no_room")


@failure.register
def _(exc: JobFailed) -> Failure:
    if exc.type in MISTAKES:
        return Failure(str(exc), code=exc.type)
    return Failure(str(exc), 409 if exc.type == "cancelled" else 500, "server_error", exc.type)


@failure.register
def _(exc: HTTPException) -> Failure:
    kind = "server_error" if exc.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else INVALID
    return Failure(str(exc.detail), exc.status_code, kind, None)


@failure.register
def _(exc: RequestValidationError) -> Failure:
    first = exc.errors()[0]
    return Failure(f"the body is no JSON object: {first['msg']}", code="invalid_json")
