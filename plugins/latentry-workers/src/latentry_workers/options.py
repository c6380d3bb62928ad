"""How the workers are configured: `[options.workers]` of the host's configuration."""

from collections.abc import Mapping

from latentry_sdk import Count, Field, Host, InvalidRequest, Name, Number, Options, parsed

OWNER = "workers"


class WorkerOptions(Options):
    """One worker process."""

    place: Mapping[str, str] = Field(
        {},
        description="component=device for jobs that say nothing; a job that names a device goes to its owner",
    )
    python: str | None = Field(None, min_length=1, description="The interpreter; else the host's own")
    environment: Mapping[str, str] = Field({}, description="Variables beside the host's")
    nice: Count = Field(5, ge=0, le=19, description="How much it gives way to other processes")


class WorkersOptions(Options):
    """All workers, by name, and what holds for each."""

    processes: Mapping[Name, WorkerOptions] = Field(
        default_factory=lambda: {"worker": WorkerOptions()}, min_length=1, max_length=64
    )
    start: Number = Field(120, gt=0, description="Seconds until a new worker must be ready")
    silence: Number = Field(30, gt=1, description="Seconds without a sign of life until a worker is ended")
    grace: Number = Field(10, ge=0, description="Seconds a job has to stop until its worker is ended")
    jobs: Count | None = Field(None, ge=1, description="Jobs until a worker is replaced")
    warm: Number = Field(0.5, ge=0, le=1, description="Share of a device's memory for the weights kept warm")


def options_of(host: Host) -> WorkersOptions:
    """The host's; raises `InvalidRequest`."""
    options = parsed(WorkersOptions, host.config.options.get(OWNER, {}), where=f"options.{OWNER}: ")
    for name, worker in options.processes.items():
        if any("\0" in key + text or "=" in key or not key for key, text in worker.environment.items()):
            raise InvalidRequest(f"options.{OWNER}: processes.{name}.environment: no variable can be so")
    return options
