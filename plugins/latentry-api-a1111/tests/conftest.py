"""A service that runs jobs in one thread, so that the routes are tried without the server around them.

Its jobs run on the embedded model, or step by step as a test says.
"""

import asyncio
import io
import itertools
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from PIL import Image

from latentry_api_a1111 import mount
from latentry_sdk import (
    Artifact,
    Cancelled,
    Event,
    Host,
    Preview,
    Previewed,
    Result,
    Stepped,
    UserError,
    parsed,
)
from latentry_sdk import Request as JobRequest
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import ENDED, KeptArtifact, KeptEvent, Outcome, QueuedJob, QueueFull, Submission
from latentry_sdk.service import Caller, UnknownJob, Wish

_file = io.BytesIO()
Image.new("L", (8, 8), 128).save(_file, "PNG")
GREY = _file.getvalue()
SCOPES = {"reader": frozenset({"read"}), "writer": frozenset({"generate"})}


OnEvent = Callable[[Event], None]
Run = Callable[..., Result]
"""Runs a request as `Host.run` does."""


class Steered:
    """Runs no model: a job takes its next step when the test says so, and makes a grey picture at the end."""

    def __init__(self) -> None:
        self._steps = threading.Semaphore(0)
        self.at = 0

    def go(self, steps: int) -> None:
        """Let so many steps be taken, by whichever job runs."""
        for _ in range(steps):
            self._steps.release()

    def run(self, request: JobRequest, *, on_event: OnEvent, cancel: threading.Event) -> Result:
        for self.at in range(1, request.steps + 1):
            on_event(Stepped("", self.at, request.steps))
            on_event(Previewed("", self.at, request.steps, (Preview(0, 8, 8, b"a small picture"),)))
            while not self._steps.acquire(timeout=0.01):
                if cancel.is_set():
                    raise Cancelled("it was asked to stop")
        self.at = 0
        return Result((Artifact(GREY, "image/png", request.seed),), {"size": [8, 8]}, {})


class Threaded:
    """Jobs in memory and one thread that runs them on a real host, in order."""

    def __init__(self, host: Host, blobs: Blobs, run: Run) -> None:
        self.host, self.blobs, self.queue, self._do = host, blobs, self, run
        self.most, self.refusals, self.wishes, self.known = 100, 0, [], {}
        self._previews, self._stops, self._inputs = {}, {}, {}
        self._ids, self._waiting = itertools.count(1), queue.Queue()
        threading.Thread(target=self._serve, daemon=True).start()

    def submit(self, wish: Wish, caller: Caller) -> QueuedJob:
        caller.require("generate")
        self.refusals -= (again := bool(self.known and self.refusals))
        if again or self.counts()["queued"] >= self.most:
            raise QueueFull("the queue is full", 0.05)
        request = parsed(JobRequest, {**wish.request, "inputs": dict(wish.inputs)})
        self.host.plan(request)
        self.wishes.append(wish)
        job = QueuedJob(str(next(self._ids)), Submission(dict(wish.request), caller.name), "queued", 0.0)
        self.known[job.id], self._inputs[job.id] = job, request
        self._stops[job.id] = threading.Event()
        self._waiting.put(job.id)
        return job

    def job(self, job: str, caller: Caller) -> QueuedJob:
        if job not in self.known or not caller.sees(self.known[job]):
            raise UnknownJob("there is no such job")
        return self.known[job]

    def cancel(self, job: str, caller: Caller) -> QueuedJob:
        caller.require("generate")
        if self.job(job, caller).status == "queued":
            self._change(job, status="cancelled", outcome=Outcome("cancelled"))
        self._stops[job].set()
        return self.known[job]

    def preview(self, job: str, caller: Caller) -> Preview | None:
        self.job(job, caller)
        return self._previews.get(job)

    async def ended(self, job: str, caller: Caller, *, seconds: float | None = None) -> QueuedJob:
        while self.job(job, caller).status not in ENDED:
            await asyncio.sleep(0.01)
        return self.known[job]

    def events(self, job: str, caller: Caller, *, after: int = 0) -> AsyncIterator[KeptEvent | Preview]:
        raise NotImplementedError

    def counts(self) -> dict[str, int]:
        statuses = [job.status for job in self.known.values()]
        return {status: statuses.count(status) for status in ("queued", "running", "done")}

    def _serve(self) -> None:
        while True:
            job = self._waiting.get()
            if self.known[job].status == "queued":
                self._change(job, status="running")
                self._run(job)

    def _run(self, job: str) -> None:
        def notify(event: object) -> None:
            if isinstance(event, Previewed):
                self._previews[job] = event.images[0]
            if isinstance(event, Stepped):
                self._change(job, progress=(event.step - 1) / event.steps)

        try:
            result = self._do(self._inputs[job], on_event=notify, cancel=self._stops[job])
        except Cancelled:
            self._change(job, status="cancelled", outcome=Outcome("cancelled"))
        except Exception as exc:
            kind = "invalid_input" if isinstance(exc, UserError) else "internal_error"
            error = {"type": kind, "message": str(exc), "fix": None}
            self._change(job, status="failed", outcome=Outcome("failed", error=error))
        else:
            kept = [
                KeptArtifact(
                    f"{job}-{index}", self.blobs.keep(one.data), one.media_type, len(one.data), one.seed
                )
                for index, one in enumerate(result.artifacts)
            ]
            self._change(job, status="done", outcome=Outcome("done", kept, result.applied))

    def _change(self, job: str, **changes: object) -> None:
        self.known[job] = replace(self.known[job], **changes)


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """Every installed plugin, and the embedded model."""
    with Host() as host:
        yield host


@pytest.fixture
def service(host: Host, tmp_path) -> Threaded:
    """A new one for each test, which runs the embedded model."""
    return Threaded(host, Blobs(tmp_path / "blobs"), host.run)


@pytest.fixture
def steered() -> Steered:
    """What the jobs of `steered_service` do."""
    return Steered()


@pytest.fixture
def steered_service(host: Host, tmp_path, steered: Steered) -> Threaded:
    """A new one for each test, whose jobs take steps when the test says so."""
    return Threaded(host, Blobs(tmp_path / "blobs"), steered.run)


@pytest.fixture
def client(service: Threaded) -> TestClient:
    """A client of an app that has the surface alone; the header `who` names the caller."""
    return client_of(service)


@pytest.fixture
def steered_client(steered_service: Threaded) -> TestClient:
    """The same for steered jobs."""
    return client_of(steered_service)


def client_of(service: Threaded) -> TestClient:
    app = FastAPI()

    @app.middleware("http")
    async def with_caller(request: Request, call_next):
        name = request.headers.get("who", "")
        request.state.caller = Caller(name, SCOPES.get(name, frozenset({"read", "generate"})))
        return await call_next(request)

    app.include_router(mount(service))
    return TestClient(app)
