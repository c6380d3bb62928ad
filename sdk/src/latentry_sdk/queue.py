"""A durable queue of jobs: what a server asks of a store, beyond keeping records.

A store whose `open` gives a `Queue` serves many clients. Times are seconds since 1970 by the store's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from latentry.errors import LatentryError, UserError

Status = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[Status] = frozenset({"done", "failed", "cancelled"})


class QueueFull(UserError):
    """So many jobs wait already that no more are taken; `seconds` says when to try again."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message, fix=f"try again in {seconds:.0f} s")
        self.seconds = seconds


class KeyReused(UserError):
    """The same idempotency key was sent with another request."""


class WorkerDied(LatentryError):
    """The process that ran the job ended before the job did; another attempt may succeed."""


class LeaseLost(LatentryError):
    """The claim is no longer ours: its time ran out and the job was given to another worker."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds a job may wait in the queue, load its model, and run after that; None is no limit."""

    queue: float | None = None
    load: float | None = None
    run: float | None = None


@dataclass(frozen=True)
class Submission:
    """A job to be queued.

    `request` holds a request's fields as JSON, its seed drawn and each input as the digest of a kept blob.
    `owner` is the name of the credential that asked, `priority` is higher for sooner, and `key` makes a
    second submission of the same request by the same owner give the first job. Requests are the same if
    their `fingerprint` is: any text that tells apart what clients sent, before a seed was drawn, say. Where
    it is left out, `request` itself is compared.
    """

    request: Mapping[str, Any]
    owner: str = ""
    priority: int = 0
    key: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    fingerprint: str | None = None


@dataclass(frozen=True)
class KeptArtifact:
    """One file that a job made: the blob with its digest holds the bytes; `id` is unique in the store."""

    id: str
    digest: str
    media_type: str
    size: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: artifacts and what was applied, or an error with its stable `type`."""

    status: Status
    artifacts: Sequence[KeptArtifact] = ()
    applied: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class QueuedJob:
    """A job as the queue keeps it; `version` grows with each change, `progress` goes from 0 to 1."""

    id: str
    submission: Submission
    status: Status
    created: float
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    version: int = 1
    progress: float = 0.0
    cancelling: bool = False
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Claim:
    """The right to run a job until the lease ends; `token` tells this claim from any later one."""

    job: QueuedJob
    token: str


@dataclass(frozen=True)
class KeptEvent:
    """Something that happened to a job, numbered from 1; `data` is JSON-able."""

    job: str
    number: int
    at: float
    kind: str
    data: Mapping[str, Any]


@runtime_checkable
class Queue(Protocol):
    """Jobs that survive their host. Safe to call from several threads; every change is durable on return.

    Each change of a job's status is kept as an event by the queue itself, of the new status' name: "queued"
    first, "running" with each claim, "queued" again when a job comes back, and "done", "failed" or
    "cancelled" last, with the `artifacts` or the `error` in its data. "cancelling" tells that a running job
    was asked to stop.
    """

    def submit(self, submission: Submission) -> QueuedJob:
        """Accept a job, or give the one its key stands for; raises `QueueFull` or `KeyReused`."""

    def job(self, job: str) -> QueuedJob | None:
        """The job of this id."""

    def jobs(
        self,
        *,
        statuses: Collection[Status] = (),
        owner: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[QueuedJob]:
        """The newest jobs first, older than the job `before`; all statuses and owners unless named."""

    def cancel(self, job: str) -> QueuedJob | None:
        """End a queued job; mark a running one `cancelling`; leave an ended one as it is."""

    def retry(self, job: str) -> QueuedJob | None:
        """Queue a failed or cancelled job again, with its attempts counted anew."""

    def claim(self, worker: str, seconds: float) -> Claim | None:
        """Lease the next job: by priority, then in turn among owners, then the oldest."""

    def renew(self, claim: Claim, seconds: float, progress: float) -> QueuedJob:
        """Keep the lease and say how far it is; raises `LeaseLost`."""

    def append(self, claim: Claim, kind: str, data: Mapping[str, Any]) -> KeptEvent:
        """Keep an event of a claimed job; raises `LeaseLost`."""

    def finish(self, claim: Claim, outcome: Outcome) -> QueuedJob:
        """End the job with all of its outcome in one transaction; raises `LeaseLost`."""

    def release(self, claim: Claim, *, failed: bool) -> QueuedJob:
        """Give the job back to the queue; after its last attempt a `failed` one ends with an error."""

    def recover(self) -> Sequence[QueuedJob]:
        """Give back every job whose lease has run out or whose time in the queue has; the changed jobs."""

    def forget(self, before: float) -> int:
        """Drop every job that ended before, in seconds since 1970, with all that is kept of it; how many."""

    def events(self, job: str, after: int = 0) -> Sequence[KeptEvent]:
        """The job's events with numbers above `after`, oldest first."""

    def counts(self) -> Mapping[Status, int]:
        """How many jobs there are of each status."""

    def close(self) -> None:
        """Give back connections and locks."""
