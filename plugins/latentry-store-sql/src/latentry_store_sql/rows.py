"""Rows of the tables as the values of `latentry_sdk.queue`, and back."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, select

from latentry_sdk.queue import ENDED, KeptArtifact, KeptEvent, Outcome, QueuedJob, Submission, Timeouts
from latentry_store_sql.tables import ARTIFACTS

AnyRow = Row[Any]


def jobs_of(connection: Connection, rows: Sequence[AnyRow]) -> list[QueuedJob]:
    """The jobs of rows, each with the artifacts that it made."""
    made = _artifacts(connection, [row.number for row in rows if row.status == "done"])
    return [_job(row, made.get(row.number, [])) for row in rows]


def _artifacts(connection: Connection, jobs: Sequence[int]) -> dict[int, list[KeptArtifact]]:
    found: dict[int, list[KeptArtifact]] = {}
    if not jobs:
        return found
    order = ARTIFACTS.c.job, ARTIFACTS.c.position
    for row in connection.execute(select(ARTIFACTS).where(ARTIFACTS.c.job.in_(jobs)).order_by(*order)):
        kept = KeptArtifact(row.id, row.digest, row.media_type, row.size, int(row.seed))
        found.setdefault(row.job, []).append(kept)
    return found


def _job(row: AnyRow, artifacts: Sequence[KeptArtifact]) -> QueuedJob:
    timeouts = Timeouts(**row.timeouts)
    submission = Submission(row.request, row.owner, row.priority, row.key, timeouts, row.fingerprint)
    return QueuedJob(
        id=row.id,
        submission=submission,
        status=row.status,
        created=row.created,
        started=row.started,
        finished=row.finished,
        attempts=row.attempts,
        version=row.version,
        progress=row.progress,
        cancelling=row.cancelling,
        outcome=_outcome(row, artifacts) if row.status in ENDED else None,
    )


def _outcome(row: AnyRow, artifacts: Sequence[KeptArtifact]) -> Outcome:
    return Outcome(
        row.status, tuple(artifacts), **{**row.outcome, "warnings": tuple(row.outcome["warnings"])}
    )


def outcome_columns(outcome: Outcome) -> dict[str, Any]:
    """What the column `outcome` keeps: all but the status and the artifacts."""
    return {
        "applied": dict(outcome.applied),
        "timings": dict(outcome.timings),
        "warnings": list(outcome.warnings),
        "error": None if outcome.error is None else dict(outcome.error),
    }


def artifact_rows(job: int, artifacts: Sequence[KeptArtifact]) -> list[dict[str, Any]]:
    """The rows of a job's artifacts, in order."""
    return [
        {**asdict(artifact), "seed": str(artifact.seed), "job": job, "position": position}
        for position, artifact in enumerate(artifacts)
    ]


def event_of(row: AnyRow, job: str) -> KeptEvent:
    """The event of a row."""
    return KeptEvent(job, row.number, row.at, row.kind, row.data)
