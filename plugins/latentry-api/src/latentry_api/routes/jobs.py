"""Jobs: hand in, look at, list, cancel, ask again."""

from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from latentry_api.problems import problem
from latentry_api.routes.context import CallerHere, ServiceHere, problems
from latentry_api.security.fetching import Fetcher
from latentry_api.service import JobService
from latentry_api.views import ROOT, JobsView, JobView, job_view, page
from latentry_api.wishes import wish_of
from latentry_sdk.queue import ENDED, QueuedJob, Status
from latentry_sdk.service import Caller

router = APIRouter(tags=["jobs"])
MOST_SECONDS = 300
Key = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[!-~]+$")
]
Wait = Annotated[float, Query(ge=0, le=MOST_SECONDS, description="Seconds to wait for the job's end")]
Match = Annotated[str | None, Header(alias="If-None-Match")]


@router.post(
    "/jobs",
    status_code=202,
    response_model=JobView,
    responses=problems(400, 403, 409, 413, 415, 422, 429, 503, 507)
    | {200: {"model": JobView, "description": "It ended while it was waited for"}},
)
async def submit(
    request: Request, service: ServiceHere, caller: CallerHere, key: Key = None, wait: Wait = 0
) -> Response:
    """Queue a job. The request's fields stand beside each other, options by the name of their owner."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return problem(415, "unsupported_media_type", "the body is to be application/json")
    if wait:
        caller.require("read")  # before the job is taken, which the answer will tell of
    job = await run_in_threadpool(_submitted, service, await request.body(), key, caller)
    if wait:
        job = await service.ended(job.id, caller, seconds=wait)
    answer = _answer(job, 200 if wait and job.status in ENDED else 202)
    answer.headers["Location"] = f"{ROOT}/jobs/{job.id}"
    return answer


@router.get("/jobs", responses=problems(403, 422))
def jobs(
    service: ServiceHere,
    caller: CallerHere,
    status: Annotated[list[Status] | None, Query()] = None,
    cursor: Annotated[str | None, Query(max_length=64, description="The `next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobsView:
    """The newest jobs first."""
    return page(service.jobs(caller, statuses=status or (), before=cursor, limit=limit), limit)


@router.get(
    "/jobs/{id}",
    response_model=JobView,
    responses=problems(403, 404, 422) | {304: {"description": "It is as the ETag says"}},
)
async def job(
    id: str,  # noqa: A002
    service: ServiceHere,
    caller: CallerHere,
    match: Match = None,
    wait: Wait = 0,
) -> Response:
    """A job as it is now, or when it has ended; 304 where it is still as `If-None-Match` says."""
    if wait:
        return _answer(await service.ended(id, caller, seconds=wait), 200, match)
    if recent := service.recent(id, caller):
        return _answer(recent, 200, match)
    return _answer(await run_in_threadpool(service.job, id, caller), 200, match)


@router.delete("/jobs/{id}", response_model=JobView, responses=problems(403, 404))
def cancel(id: str, service: ServiceHere, caller: CallerHere) -> Response:  # noqa: A002
    """Stop a job: at once in the queue, at its next step where it runs. One that ended stays as it is."""
    return _answer(service.cancel(id, caller), 200)


@router.post("/jobs/{id}/retry", status_code=202, response_model=JobView, responses=problems(403, 404, 503))
def retry(id: str, service: ServiceHere, caller: CallerHere) -> Response:  # noqa: A002
    """Queue a failed or cancelled job again; any other stays as it is."""
    return _answer(service.retry(id, caller), 202)


def _submitted(service: JobService, body: bytes, key: str | None, caller: Caller) -> QueuedJob:
    caller.require("generate")  # before anything is fetched for them
    return service.submit(wish_of(body, service.blobs, Fetcher(service.limits), key), caller)


def _answer(job: QueuedJob, status: int, match: str | None = None) -> Response:
    content = job_view(job).model_dump_json().encode()
    tag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if match and (match == "*" or tag in match):
        return Response(status_code=304, headers=headers)
    return Response(content, status, headers=headers, media_type="application/json")
