"""Bytes: inputs that are sent, pictures that were made."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from latentry_api.routes.context import CallerHere, ServiceHere, problems
from latentry_api.security.headers import safe_media_type
from latentry_api.service import JobService
from latentry_sdk.queue import KeptArtifact
from latentry_sdk.service import Caller, UnknownJob

router = APIRouter(tags=["files"])
FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=31536000, immutable",
}


class BlobView(BaseModel):
    """Bytes that are kept under the digest of their content."""

    blob: str
    size: int


@router.post("/blobs", status_code=201, responses=problems(400, 403, 413, 507))
async def keep(request: Request, service: ServiceHere, caller: CallerHere) -> BlobView:
    """Keep the body's bytes, to be named as an input of jobs."""
    caller.require("generate")
    content = await request.body()
    return BlobView(blob=await run_in_threadpool(service.keep, content), size=len(content))


@router.get(
    "/artifacts/{id}",
    response_class=FileResponse,
    responses=problems(403, 404)
    | {
        200: {"description": "The file", "content": {"*/*": {}}},
        206: {"description": "A part of it", "content": {"*/*": {}}},
        304: {"description": "It is as the ETag says"},
        416: {"description": "It has no such part", "content": {"text/plain": {}}},
    },
)
def artifact(
    id: str,  # noqa: A002
    service: ServiceHere,
    caller: CallerHere,
    match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """A file that a job made, whole or by range."""
    found = _artifact(service, id, caller)
    headers = {**FIXED, "ETag": f'"{found.digest}"'}
    if match and (match == "*" or found.digest in match):
        return Response(status_code=304, headers=headers)
    path, kind = service.blobs.path(found.digest), safe_media_type(found.media_type)
    return FileResponse(path, media_type=kind, headers=headers)


def _artifact(service: JobService, name: str, caller: Caller) -> KeptArtifact:
    job = service.job(name.rpartition("-")[0], caller)
    for one in job.outcome.artifacts if job.outcome else ():
        if one.id == name:
            return one
    raise UnknownJob("there is no such artifact")
