"""Jobs as people and programs read them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from latentry_sdk.queue import Outcome, QueuedJob

COLUMNS = ("ID", "STATUS", "TASK", "OWNER", "CREATED", "PROGRESS")


def as_json(job: QueuedJob) -> Mapping[str, Any]:
    """All there is to know of the job."""
    outcome = job.outcome or Outcome(job.status)
    return {
        "id": job.id,
        "status": job.status,
        "owner": job.submission.owner,
        "priority": job.submission.priority,
        "request": job.submission.request,
        "timeouts": asdict(job.submission.timeouts),
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "attempts": job.attempts,
        "progress": job.progress,
        "cancelling": job.cancelling,
        "artifacts": [asdict(artifact) for artifact in outcome.artifacts],
        "applied": outcome.applied,
        "timings": outcome.timings,
        "warnings": list(outcome.warnings),
        "error": outcome.error,
    }


def as_row(job: QueuedJob) -> Sequence[str]:
    """The job in the cells of `COLUMNS`."""
    status = "stopping" if job.cancelling and job.status == "running" else job.status
    task = str(job.submission.request.get("task", ""))
    return job.id, status, task, job.submission.owner, _time(job.created), f"{job.progress:.0%}"


def as_lines(job: QueuedJob, attempts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The job over several lines, without what it has not."""
    said = {name.lower(): cell for name, cell in zip(COLUMNS, as_row(job), strict=True)}
    said |= {name: _time(at) for name, at in (("started", job.started), ("finished", job.finished))}
    if job.outcome and job.outcome.error:
        said["error"] = f"{job.outcome.error.get('type')}: {job.outcome.error.get('message')}"
    yield from (f"{name}: {_printable(text)}" for name, text in said.items() if text)
    for field, value in job.submission.request.items():
        yield f"request {field}: {_printable(str(value))}"
    for attempt in attempts:
        ended = f"{attempt['end']} {_time(attempt['ended'])}" if attempt["end"] else "running"
        yield f"attempt by {_printable(attempt['worker'])}: {_time(attempt['started'])}, {ended}"
    for artifact in job.outcome.artifacts if job.outcome else ():
        about = f"{artifact.media_type}, {artifact.size} bytes, seed {artifact.seed}"
        yield f"artifact {_printable(artifact.id)}: {about}"


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in aligned columns."""
    cells = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def _time(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at).isoformat(" ", "seconds")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
