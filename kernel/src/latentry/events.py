"""What happens to a job, as frozen values for `on_event`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something that happened to the job named `job`; plugins may define further ones."""

    job: str


@dataclass(frozen=True)
class Queued(Event):
    """The job is planned and accepted."""

    task: str


@dataclass(frozen=True)
class Started(Event):
    """An executor has begun the job."""


@dataclass(frozen=True)
class ModelLoaded(Event):
    """A model's components are in place; `seconds` is what that took."""

    model: str
    seconds: float


@dataclass(frozen=True)
class StageStarted(Event):
    """A stage begins."""

    stage: str


@dataclass(frozen=True)
class Stepped(Event):
    """Sampling step `step` of `steps` is about to be taken; the first is 1."""

    step: int
    steps: int


@dataclass(frozen=True)
class Done(Event):
    """The job's result is in the store."""

    seconds: float


@dataclass(frozen=True)
class Failed(Event):
    """The job ended with an error, given in one line."""

    error: str


@dataclass(frozen=True)
class Cancelled(Event):
    """The job was stopped because it was asked to."""
