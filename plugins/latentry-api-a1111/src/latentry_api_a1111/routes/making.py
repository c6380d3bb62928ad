"""Routers whose errors clients can read, and who asks."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from latentry_api_a1111.failing import FailingRoute, Failure
from latentry_sdk.service import Caller, caller_of


def _caller(request: Request) -> Caller:
    return caller_of(request)


def _reader(request: Request) -> Caller:
    caller = caller_of(request)
    caller.require("read")
    return caller


Anyone = Annotated[Caller, Depends(_caller)]
Reader = Annotated[Caller, Depends(_reader)]
"""A caller who may read."""


FAILURES = (
    (400, "The body is no JSON"),
    (403, "The caller may not do this"),
    (422, "What cannot be done as asked"),
)
IN_FRONT = {"application/problem+json": {"schema": {"type": "object"}}}
"""What the server refuses before a route sees it has the server's own shape."""


def router() -> APIRouter:
    """An empty one."""
    failures: dict[int | str, dict[str, Any]] = {
        status: {"model": Failure, "description": text, "content": IN_FRONT} for status, text in FAILURES
    }
    return APIRouter(route_class=FailingRoute, responses=failures)
