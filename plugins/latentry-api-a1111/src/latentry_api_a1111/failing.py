"""Errors in the shape that AUTOMATIC1111's clients read."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from latentry_sdk import LatentryError, UserError
from latentry_sdk.queue import QueuedJob, QueueFull
from latentry_sdk.service import Draining, NoRoom, NotAllowed, UnknownJob

MISTAKES = frozenset(
    {"invalid_request", "invalid_input", "invalid_model", "unknown_name", "unavailable", "user_error"}
)
"""Types of errors of jobs that the client can mend; all others are faults."""

DRAINING_SECONDS = 30
"""When a server that stops may be back."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class NotHere(UserError):
    """AUTOMATIC1111 can do this, and nothing that is installed here can."""


STATUSES: Mapping[type[LatentryError], int] = {
    QueueFull: 429,
    NotAllowed: 403,
    UnknownJob: 404,
    Draining: 503,
    NoRoom: 507,
}
"""Other errors of users are 422, and faults 500."""


class JobFailed(Exception):
    """A job of the call failed; its outcome says why."""

    def __init__(self, job: QueuedJob) -> None:
        error = dict((job.outcome and job.outcome.error) or {})
        self.type = str(error.get("type", "internal_error"))
        parts = [error.get("message") or "the job failed", error.get("fix")]
        super().__init__("; ".join(str(part) for part in parts if part))

    @property
    def status(self) -> int:
        """504 for a job that took too long, 422 for what the client can mend, 500 for a fault."""
        return 504 if self.type == "timed_out" else 422 if self.type in MISTAKES else 500


class Failure(BaseModel):
    """What a client gets in the place of an answer."""

    error: str
    detail: str
    body: str = ""
    errors: str = ""


class FailingRoute(APIRoute):
    """A route whose errors have the shape of `Failure`."""

    def get_route_handler(self) -> Handler:
        """FastAPI's handler, and ours around it."""
        handle = super().get_route_handler()

        async def shaped(request: Request) -> Response:
            try:
                return await handle(request)
            except (RequestValidationError, HTTPException, LatentryError, JobFailed) as exc:
                return failure(exc)

        return shaped


def failure(exc: Exception) -> JSONResponse:
    """The answer for an error."""
    status, name, detail = told(exc)
    shape = Failure(error=name, detail=detail, errors=detail)
    answer = JSONResponse(shape.model_dump(), status)
    if isinstance(exc, QueueFull | Draining):
        seconds = exc.seconds if isinstance(exc, QueueFull) else DRAINING_SECONDS
        answer.headers["Retry-After"] = f"{max(seconds, 1):.0f}"
    return answer


def told(exc: Exception) -> tuple[int, str, str]:
    """Status, name and one line of an error."""
    name = type(exc).__name__
    if isinstance(exc, RequestValidationError):
        return 422, "InvalidRequest", "; ".join(map(_one, exc.errors()[:3]))
    if isinstance(exc, HTTPException):
        return exc.status_code, name, str(exc.detail)
    if isinstance(exc, JobFailed):
        return exc.status, "".join(part.title() for part in exc.type.split("_")), str(exc)
    fallback = 422 if isinstance(exc, UserError) else 500
    return next((code for kind, code in STATUSES.items() if isinstance(exc, kind)), fallback), name, str(exc)


def _one(problem: Any) -> str:
    """A field, what is wrong with it, and its value where there is one."""
    place = ascii(".".join(str(part) for part in problem["loc"] if part != "body"))[1:-1]
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing" or not place:
        return f"{place[:80]}: {message}" if place else message
    return f"{place[:80]}: {message} (got {ascii(problem.get('input'))[:80]})"
