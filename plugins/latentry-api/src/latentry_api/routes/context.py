"""What routes are given: the service and who asks."""

from typing import Annotated, Any

from fastapi import Depends, Request

from latentry_api.problems import MEDIA_TYPE, Problem
from latentry_api.service import JobService
from latentry_sdk.service import Caller, caller_of


async def _service(request: Request) -> JobService:
    service: JobService = request.app.state.service
    return service


async def _caller(request: Request) -> Caller:
    return caller_of(request)


ServiceHere = Annotated[JobService, Depends(_service)]
CallerHere = Annotated[Caller, Depends(_caller)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of these errors."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {
        status: {"description": "What is wrong", "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }
