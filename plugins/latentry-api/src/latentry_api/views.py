"""What clients see of a job."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from latentry_sdk.queue import KeptArtifact, KeptEvent, QueuedJob, Status

ROOT = "/api/v1"


class ErrorView(BaseModel):
    """Why a job failed; `type` is stable."""

    type: str
    message: str
    fix: str | None = None


class ArtifactView(BaseModel):
    """One file that the job made."""

    id: str
    media_type: str
    sha256: str
    size: int = Field(description="Bytes")
    seed: int
    url: str


class JobView(BaseModel):
    """A job as it is now; times are seconds since 1970."""

    id: str
    status: Status
    task: str
    progress: float = Field(ge=0, le=1)
    seed: int | None
    created: float
    started: float | None
    finished: float | None
    attempts: int
    cancelling: bool
    priority: int
    request: dict[str, Any] = Field(description="What was asked for; inputs by their digests")
    artifacts: list[ArtifactView]
    applied: dict[str, Any] = Field(description="What was done, beside what was asked")
    timings: dict[str, float] = Field(description="Seconds by stage")
    warnings: list[str]
    error: ErrorView | None


class JobsView(BaseModel):
    """A page of jobs, the newest first; `next` is the cursor of the page after it."""

    jobs: list[JobView]
    next: str | None


class EventView(BaseModel):
    """Something that happened to a job; `number` is 0 for what is told live only."""

    job: str
    number: int
    at: float
    kind: str
    data: dict[str, Any]


def job_view(job: QueuedJob) -> JobView:
    """The job for its clients."""
    outcome, request = job.outcome, dict(job.submission.request)
    return JobView(
        id=job.id,
        status=job.status,
        task=str(request.get("task", "")),
        progress=1.0 if job.status == "done" else min(max(job.progress, 0.0), 1.0),
        seed=request.get("seed"),
        created=job.created,
        started=job.started,
        finished=job.finished,
        attempts=job.attempts,
        cancelling=job.cancelling,
        priority=job.submission.priority,
        request=request,
        artifacts=[artifact_view(one) for one in outcome.artifacts] if outcome else [],
        applied=dict(outcome.applied) if outcome else {},
        timings=dict(outcome.timings) if outcome else {},
        warnings=list(outcome.warnings) if outcome else [],
        error=error_view(outcome.error) if outcome and outcome.error else None,
    )


def artifact_view(artifact: KeptArtifact) -> ArtifactView:
    """The artifact and where to get it."""
    return ArtifactView(
        id=artifact.id,
        media_type=artifact.media_type,
        sha256=artifact.digest,
        size=artifact.size,
        seed=artifact.seed,
        url=f"{ROOT}/artifacts/{artifact.id}",
    )


def error_view(error: Mapping[str, Any]) -> ErrorView:
    """The error that the queue keeps."""
    return ErrorView(
        type=str(error.get("type", "internal_error")),
        message=str(error.get("message", "")),
        fix=error.get("fix"),
    )


def event_view(event: KeptEvent) -> EventView:
    """The event for its watchers."""
    return EventView(job=event.job, number=event.number, at=event.at, kind=event.kind, data=dict(event.data))


def page(jobs: Sequence[QueuedJob], limit: int) -> JobsView:
    """A page of at most `limit` jobs; a full one may have another after it."""
    return JobsView(jobs=[job_view(one) for one in jobs], next=jobs[-1].id if len(jobs) == limit else None)
