"""Wait for a job together with the client who asked for it."""

from asyncio import create_task

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from latentry_sdk.queue import QueuedJob
from latentry_sdk.service import Caller, Service


async def ended(service: Service, job: str, caller: Caller, request: Request) -> QueuedJob:
    """The job when it has ended. A client that leaves before that cancels it."""
    watch = create_task(_cancel_without_client(service, job, caller, request))
    try:
        return await service.ended(job, caller)
    finally:
        watch.cancel()


async def _cancel_without_client(service: Service, job: str, caller: Caller, request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass  # the rest of a body that was read
    await run_in_threadpool(service.cancel, job, caller)
