"""Errors as problem+json, RFC 9457: a stable type, one line, and where known the plugin and legal values."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from latentry_api.errors import NotJson, type_of
from latentry_sdk import Host, InvalidRequest, LatentryError, UserError
from latentry_sdk.queue import KeyReused, QueueFull
from latentry_sdk.service import Draining, NoRoom, NotAllowed, UnknownJob

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:latentry:error:"
KNOWN = "; known: "
"""Stands before the legal names in the messages of the host."""

STATUSES: Mapping[type[BaseException], int] = {
    NotJson: 400,
    NotAllowed: 403,
    UnknownJob: 404,
    KeyReused: 409,
    QueueFull: 429,
    Draining: 503,
    NoRoom: 507,
    UserError: 422,
}
"""The first class that an error is of gives its status; what is no user's error is 500."""

NAMES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
"""What the framework itself refuses."""


class Problem(BaseModel):
    """What is wrong. `type` never changes for the same kind of error; `detail` may."""

    type: str = Field(examples=[f"{PREFIX}unknown_name"])
    title: str
    status: int
    detail: str
    fix: str | None = Field(None, description="What to do about it")
    field: str | None = Field(None, description="The field of the request that is wrong")
    plugin: str | None = Field(None, description="The plugin that the field belongs to")
    legal: list[str] | None = Field(None, description="The values that may be given")


def problem(status: int, name: str, detail: str, **more: Any) -> JSONResponse:
    """A response that says what is wrong; `more` are a problem's further fields."""
    found = Problem(type=PREFIX + name, title=name.replace("_", " "), status=status, detail=detail, **more)
    content = found.model_dump(exclude_none=True)
    return JSONResponse(content, status, media_type=MEDIA_TYPE)


def install(app: FastAPI, host: Host) -> None:
    """Have the app answer every error with a problem."""

    async def on_latentry(_request: Request, exc: Exception) -> JSONResponse:
        return explained(exc, host)

    async def on_invalid(_request: Request, exc: Exception) -> JSONResponse:
        problems = exc.errors() if isinstance(exc, RequestValidationError) else []
        lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems[:3]]
        return problem(422, "invalid_request", "; ".join(lines)[:1000])

    async def on_http(_request: Request, exc: Exception) -> JSONResponse:
        status = exc.status_code if isinstance(exc, HTTPException) else 500
        detail = str(exc.detail) if isinstance(exc, HTTPException) else "internal error"
        answer = problem(status, NAMES.get(status, "error"), detail)
        answer.headers.update(getattr(exc, "headers", None) or {})
        return answer

    async def on_bug(_request: Request, exc: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=exc)
        return problem(500, type_of(exc), "the server failed at this; its log says why")

    app.add_exception_handler(LatentryError, on_latentry)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)


def explained(exc: Exception, host: Host) -> JSONResponse:
    """A `LatentryError` as a response."""
    status = next((status for kind, status in STATUSES.items() if isinstance(exc, kind)), 500)
    if status == 500:
        log.error("a request failed", exc_info=exc)
    message = exc.message if isinstance(exc, LatentryError) else str(exc)
    detail = " ".join(message.split())[:4000]
    answer = problem(status, type_of(exc), detail, fix=getattr(exc, "fix", None), **dict(_details(exc, host)))
    if isinstance(exc, QueueFull):
        answer.headers["Retry-After"] = str(max(1, round(exc.seconds)))
    if isinstance(exc, Draining):
        answer.headers["Retry-After"] = "60"
    return answer


def _details(exc: Exception, host: Host) -> Iterator[tuple[str, Any]]:
    if KNOWN in (text := str(exc)):
        yield "legal", text.partition(KNOWN)[2].partition(";")[0].split(", ")
    if isinstance(exc, InvalidRequest) and isinstance(exc.__cause__, ValidationError):
        first = exc.__cause__.errors(include_url=False)[0]
        yield "field", ".".join(map(str, first["loc"]))[:200]
        tables = list(vars(host.registry).values())
        yield from (("plugin", owner) for owner in _owners(exc.__cause__.title, tables))
        if expected := first.get("ctx", {}).get("expected"):
            yield "legal", [part.strip(" '") for part in str(expected).replace(" or ", ", ").split(",")]


def _owners(title: str, tables: list[Any]) -> list[str]:
    """The plugin whose declared options have this name, if there is one."""
    found = [
        table.owners[name]
        for table in tables
        for name, spec in table.items()
        if getattr(spec, "options", None) is not None and spec.options.__name__ == title
    ]
    return found[:1]
