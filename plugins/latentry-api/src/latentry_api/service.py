"""The server as its surfaces see it: rules first, then the queue."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any

from latentry_api.dispatch import Dispatcher
from latentry_api.following import Follower
from latentry_api.hub import Hub
from latentry_api.naming import check_names
from latentry_api.recent import Recent
from latentry_api.security.audit import note
from latentry_api.security.budget import check_plan, check_wish
from latentry_api.settings import ServeOptions
from latentry_sdk import Host, InvalidRequest, Preview, Request, parsed
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import KeptEvent, Queue, QueuedJob, Status, Submission, Timeouts
from latentry_sdk.service import Caller, Draining, NoRoom, UnknownJob, Wish


@dataclass(frozen=True)
class JobService:
    """Implements `latentry_sdk.service.Service` over a queue and a dispatcher.

    `timeouts` are those of jobs that name none. Who is no administrator may name no longer ones.
    """

    host: Host
    queue: Queue
    blobs: Blobs
    hub: Hub
    dispatcher: Dispatcher
    timeouts: Timeouts
    limits: ServeOptions
    _recent: Recent = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_recent", Recent(lambda: self.hub.changes))

    def submit(self, wish: Wish, caller: Caller) -> QueuedJob:
        """Check limits, plan, keep the inputs and queue; raises `UserError`, `QueueFull` among them."""
        caller.require("admin" if wish.priority > 0 else "generate")
        if self.dispatcher.draining:
            raise Draining("the server is about to stop", fix="try again in a minute")
        self._check_room()
        check_wish(wish, self.limits)
        request = parsed(Request, {**wish.request, "inputs": dict(wish.inputs)})
        check_names(request, self.host)
        plan = self.host.plan(request)
        check_plan(plan, self.limits)
        fields = request.model_dump(mode="json", exclude={"inputs"}, exclude_unset=True)
        inputs = {name: self.blobs.keep(data) for name, data in wish.inputs.items()}
        submission = Submission(
            {**fields, "seed": plan.seeds[0], "inputs": inputs},
            owner=caller.name,
            priority=wish.priority,
            key=wish.key,
            timeouts=_within(wish.timeouts, self.timeouts, caller),
            fingerprint=_fingerprint(fields, inputs),
        )
        job = self.queue.submit(submission)
        note(jobs=job.id, prompts=request.prompt)
        self.dispatcher.wake(wish.priority)
        return job

    def keep(self, data: bytes) -> str:
        """Keep an input for jobs to come; its digest. Raises `NoRoom`."""
        self._check_room()
        return self.blobs.keep(data)

    def job(self, job: str, caller: Caller) -> QueuedJob:
        """The job; raises `UnknownJob` for one that the caller may not see."""
        caller.require("read")
        return self._seen(self._recent.read(job, self.queue.job), caller)

    def recent(self, job: str, caller: Caller) -> QueuedJob | None:
        """The same without waiting for a disk, or None where that is not possible."""
        caller.require("read")
        found = self._recent.get(job)
        return self._seen(found, caller) if found else None

    def jobs(
        self, caller: Caller, *, statuses: Sequence[Status] = (), before: str | None = None, limit: int = 50
    ) -> Sequence[QueuedJob]:
        """The newest jobs that the caller may see, older than the job `before`."""
        caller.require("read")
        owner = None if "admin" in caller.scopes else caller.name
        return self.queue.jobs(statuses=statuses, owner=owner, before=before, limit=limit)

    def cancel(self, job: str, caller: Caller) -> QueuedJob:
        """Stop the job: at once in the queue, at its next step where it runs."""
        caller.require("generate")
        self.job(job, caller)
        cancelled = self.queue.cancel(job)
        self.dispatcher.cancel(job)
        self.hub.publish(job, None)
        return _there(cancelled)

    def retry(self, job: str, caller: Caller) -> QueuedJob:
        """Queue a failed or cancelled job again."""
        caller.require("generate")
        self.job(job, caller)
        queued = _there(self.queue.retry(job))
        self.dispatcher.wake(queued.submission.priority)
        self.hub.publish(job, None)
        return queued

    def preview(self, job: str, caller: Caller) -> Preview | None:
        """The newest small picture of a running job."""
        self.job(job, caller)
        return self.hub.preview(job)

    async def ended(self, job: str, caller: Caller, *, seconds: float | None = None) -> QueuedJob:
        """The job when it ends, or as it is after so many seconds."""
        return await self._follower(job, caller).end(seconds)

    def events(self, job: str, caller: Caller, *, after: int = 0) -> AsyncIterator[KeptEvent | Preview]:
        """The kept events above number `after`, then live ones and previews, until the job ends.

        A live event that is not kept has the number 0.
        """
        return self._follower(job, caller).events(after)

    def _check_room(self) -> None:
        spare = self.limits.spare_megabytes * 1e6
        if self.blobs.room() < spare:
            raise NoRoom("the server's disk is nearly full", fix="free some space, or see --keep-days")

    def _follower(self, job: str, caller: Caller) -> Follower:
        return Follower(job, partial(self.job, job, caller), self.queue, self.hub)

    def _seen(self, found: QueuedJob | None, caller: Caller) -> QueuedJob:
        if found is None or not caller.sees(found):
            raise UnknownJob("there is no such job")
        if found.status == "running":
            return replace(found, progress=max(found.progress, self.hub.progress(found.id)))
        return found


def _fingerprint(fields: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """The same for the same request, before a seed was drawn."""
    return sha256(json.dumps([fields, inputs], sort_keys=True).encode()).hexdigest()


def _within(asked: Timeouts, most: Timeouts, caller: Caller) -> Timeouts:
    """What was asked, and the server's own where nothing was; `InvalidRequest` for what is too long."""
    found = {name: most_ if value is None else value for name, value, most_ in _pairs(asked, most)}
    for name, value, limit in _pairs(asked, most):
        if "admin" not in caller.scopes and value is not None and limit is not None and value > limit:
            raise InvalidRequest(f"timeouts.{name}: {value:g} s is more than the {limit:g} s of this server")
    return Timeouts(**found)


def _pairs(asked: Timeouts, most: Timeouts) -> Iterator[tuple[str, float | None, float | None]]:
    return ((name, getattr(asked, name), getattr(most, name)) for name in ("queue", "load", "run"))


def _there(job: QueuedJob | None) -> QueuedJob:
    if job is None:
        raise UnknownJob("there is no such job")
    return job
