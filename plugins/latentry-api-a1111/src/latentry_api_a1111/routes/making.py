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


def router() -> APIRouter:
    """An empty one."""
    failures: dict[int | str, dict[str, Any]] = {
        status: {"model": Failure, "description": text}
        for status, text in (
            (400, "The body is no JSON"),
            (403, "The caller may not do this"),
            (422, "What cannot be done as asked"),
        )
    }
    return APIRouter(route_class=FailingRoute, responses=failures)
