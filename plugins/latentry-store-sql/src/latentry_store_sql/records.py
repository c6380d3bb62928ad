"""Jobs that a host ran at once, as the kernel hands them to its store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Row, insert, select, update

from latentry_sdk import Artifact, JobRecord, Request, Result
from latentry_sdk.blobs import Blobs
from latentry_store_sql.database import Database
from latentry_store_sql.tables import RECORDS


class Records:
    """A `latentry_sdk.Store`: rows in the database, pictures as blobs in the data folder.

    Of a request's inputs only texts are kept: paths, not pictures.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database, self._blobs = database, Blobs(folder / "blobs")

    def put(self, record: JobRecord) -> None:
        """Add the record, or replace the one of the same id."""
        values = {"status": record.status, "error": record.error, "result": self._kept(record.result)}
        with self._database.writing() as connection:
            known = connection.execute(update(RECORDS).where(RECORDS.c.id == record.id).values(values))
            if not known.rowcount:
                values |= {"id": record.id, "request": _kept_request(record.request)}
                connection.execute(insert(RECORDS).values(values))

    def get(self, job: str) -> JobRecord | None:
        """The record of this id, if it is kept."""
        with self._database.reading() as connection:
            row = connection.execute(select(RECORDS).where(RECORDS.c.id == job)).one_or_none()
        return self._record(row) if row else None

    def records(self) -> tuple[JobRecord, ...]:
        """All records, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(RECORDS).order_by(RECORDS.c.number)).all()
        return tuple(map(self._record, rows))

    def take_over(self) -> None:
        """End what a host that is gone was running."""
        lost = update(RECORDS).where(RECORDS.c.status.in_(("queued", "running")))
        with self._database.writing() as connection:
            connection.execute(lost.values(status="failed", error="its host ended before it did"))

    def _kept(self, result: Result | None) -> Mapping[str, Any] | None:
        if result is None:
            return None
        artifacts = [(self._blobs.keep(one.data), one.media_type, one.seed) for one in result.artifacts]
        more = {"timings": dict(result.timings), "warnings": list(result.warnings)}
        return {"artifacts": artifacts, "applied": dict(result.applied), **more}

    def _record(self, row: Row[Any]) -> JobRecord:
        result = None
        if row.result is not None:
            made = (Artifact(self._blobs.read(digest), *rest) for digest, *rest in row.result["artifacts"])
            more = row.result["timings"], tuple(row.result["warnings"])
            result = Result(tuple(made), row.result["applied"], *more)
        return JobRecord(row.id, Request.model_validate(row.request), row.status, row.error, result)


def _kept_request(request: Request) -> Mapping[str, Any]:
    kept = request.model_dump(mode="json", exclude={"inputs"})
    return {**kept, "inputs": {name: given for name, given in request.inputs.items() if type(given) is str}}
