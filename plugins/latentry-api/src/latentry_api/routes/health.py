"""Whether the server lives, and whether a job would start."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from latentry_api.problems import problem
from latentry_api.routes.context import ServiceHere, problems

router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    """That all is well."""

    status: Literal["live", "ready"]


@router.get("/live")
async def live() -> Health:
    """Always, while the server answers at all."""
    return Health(status="live")


@router.get("/ready", response_model=Health, responses=problems(503))
async def ready(service: ServiceHere) -> Health | Response:
    """When a job would start: the queue answers, and jobs are taken from it."""
    if not service.dispatcher.ready():
        return problem(503, "not_ready", "no jobs are taken")
    try:
        await run_in_threadpool(service.queue.counts)
    except Exception:
        return problem(503, "not_ready", "the queue does not answer")
    return Health(status="ready")
