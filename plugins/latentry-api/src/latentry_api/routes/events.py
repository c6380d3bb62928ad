"""Events of jobs, as they happen: server-sent events for one job, a WebSocket for many."""

import base64
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from latentry_api.routes.context import CallerHere, ServiceHere, problems
from latentry_api.views import event_view
from latentry_sdk import Preview
from latentry_sdk.queue import KeptEvent

router = APIRouter(tags=["events"])
Last = Annotated[int, Header(alias="Last-Event-ID", ge=0)]


def _seen(id: str, service: ServiceHere, caller: CallerHere) -> str:  # noqa: A002
    return service.job(id, caller).id


@router.get("/jobs/{id}/events", response_class=EventSourceResponse, responses=problems(403, 404, 422))
async def events(
    job: Annotated[str, Depends(_seen)], service: ServiceHere, caller: CallerHere, last: Last = 0
) -> AsyncIterator[ServerSentEvent]:
    """What happened since event `Last-Event-ID` and what happens, until the job ends.

    Steps and stages that follow each other quickly are told live only, without an id.
    """
    async for event in service.events(job, caller, after=last):
        told = as_json(job, event)
        number = told.get("number")
        yield ServerSentEvent(data=told, event=str(told["kind"]), id=str(number) if number else None)


def as_json(job: str, event: KeptEvent | Preview) -> dict[str, Any]:
    """An event, or a preview with its file in base64."""
    if isinstance(event, KeptEvent):
        return event_view(event).model_dump(mode="json")
    return {
        "job": job,
        "kind": "preview",
        "index": event.index,
        "width": event.width,
        "height": event.height,
        "media_type": event.media_type,
        "data": base64.b64encode(event.data).decode(),
    }
