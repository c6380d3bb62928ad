"""What a server gives to the surfaces mounted on it: one queue, one set of rules, many ways to ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from latentry.errors import Unavailable, UserError
from latentry.host import Host
from latentry.specs import SurfaceSpec
from latentry_sdk.blobs import Blobs
from latentry_sdk.previews import Preview
from latentry_sdk.queue import KeptEvent, Queue, QueuedJob, Timeouts

Scope = Literal["read", "generate", "admin"]


class NotAllowed(UserError):
    """The caller's credential does not carry the scope that this needs, or the job is someone else's."""


class UnknownJob(UserError):
    """No job has this id, or none that the caller may see."""


class Draining(UserError):
    """The server is about to stop and takes no new jobs."""


class NoRoom(UserError):
    """The server's disk has too little room for another job."""


@dataclass(frozen=True)
class Caller:
    """Who asks: the name of a credential, "" where none is needed, and what it may do."""

    name: str = ""
    scopes: frozenset[Scope] = frozenset({"read", "generate", "admin"})

    def require(self, scope: Scope) -> None:
        """Raise `NotAllowed` without the scope."""
        if scope not in self.scopes and "admin" not in self.scopes:
            raise NotAllowed(f"this needs the scope {scope!r}", fix="use a token that carries it")

    def sees(self, job: QueuedJob) -> bool:
        """Whether the job is the caller's own, or the caller may see all."""
        return "admin" in self.scopes or job.submission.owner == self.name


def caller_of(request: Any) -> Caller:
    """Who sent a Starlette request: its `state.caller`, which the server sets before any surface sees it."""
    caller: Caller = request.state.caller
    return caller


@dataclass(frozen=True)
class Wish:
    """A job as a surface hands it in.

    `request` has a request's fields as JSON gives them, `inputs` the bytes of each input by name; `key`
    is the client's idempotency key.
    """

    request: Mapping[str, Any]
    inputs: Mapping[str, bytes]
    priority: int = 0
    key: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)


class Service(Protocol):
    """The server as its surfaces see it.

    Methods that are not `async` may wait for a disk or plan a job: call them from a thread, as FastAPI does
    with plain functions. Who may do what is checked here, so that no surface can forget it.
    """

    @property
    def host(self) -> Host:
        """The host: its registry, models and devices."""

    @property
    def queue(self) -> Queue:
        """The queue that every surface shares."""

    @property
    def blobs(self) -> Blobs:
        """Inputs and results by digest."""

    def submit(self, wish: Wish, caller: Caller) -> QueuedJob:
        """Check limits, plan, keep the inputs and queue; raises `UserError`, `QueueFull` among them."""

    def job(self, job: str, caller: Caller) -> QueuedJob:
        """The job; raises `UnknownJob` for one that the caller may not see."""

    def cancel(self, job: str, caller: Caller) -> QueuedJob:
        """Stop the job: at once in the queue, at its next step where it runs."""

    def preview(self, job: str, caller: Caller) -> Preview | None:
        """The newest small picture of a running job."""

    async def ended(self, job: str, caller: Caller, *, seconds: float | None = None) -> QueuedJob:
        """The job when it ends, or as it is after so many seconds."""

    def events(self, job: str, caller: Caller, *, after: int = 0) -> AsyncIterator[KeptEvent | Preview]:
        """The kept events above number `after`, then live ones and previews, until the job ends."""


def _mounted_only(_host: Host) -> None:
    raise Unavailable("this surface is mounted by a server", fix="run `latentry serve`")


@dataclass(frozen=True, eq=False)
class MountedSurface(SurfaceSpec):
    """A surface that a server adds to its own: `mount(service)` gives a FastAPI router.

    What the server refuses by itself at a path below one of `prefixes`, a wrong token for instance, is told
    by `refusal`: it takes the problem, with its `status`, `type`, `detail` and perhaps `fix`, and gives the
    reply's JSON.
    """

    serve: Callable[[Host], None] = _mounted_only
    mount: Callable[[Service], Any] = field(kw_only=True)
    prefixes: tuple[str, ...] = field(default=(), kw_only=True)
    refusal: Callable[[Mapping[str, Any]], Mapping[str, Any]] = field(default=dict, kw_only=True)
