"""What `latentry serve` can be told; each field is a flag."""

from pathlib import Path

from latentry_api.security.options import SecurityOptions
from latentry_sdk import Count, Field, Name, Number


class ServeOptions(SecurityOptions):
    """Where the server listens, where it keeps things, how long it waits, and what keeps it safe."""

    port: Count = Field(8585, ge=0, le=65535, description="Port to listen at; 0 takes a free one")
    data: Path | None = Field(None, description="Folder for jobs, inputs and results")
    executor: Name = Field("workers", description="Where jobs run")
    store: Name = Field("sql", description="Where jobs are kept")
    drain_seconds: Number = Field(
        30, ge=0, le=86400, description="Seconds that running jobs have to end when it stops"
    )
    keep_days: Number | None = Field(
        None, gt=0, description="Days that ended jobs and their pictures are kept; for ever if not given"
    )
    spare_megabytes: Number = Field(
        200, ge=0, description="Megabytes of its disk that stay free: with less, no job is taken"
    )
    queue_timeout: Number | None = Field(None, gt=0, description="Seconds that a job may wait")
    load_timeout: Number | None = Field(900, gt=0, description="Seconds that loading a model may take")
    run_timeout: Number | None = Field(3600, gt=0, description="Seconds that a job may run")
