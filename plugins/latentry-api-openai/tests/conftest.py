"""The routes on a started server, over jobs that a test ends as it likes."""

import asyncio
import io
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import time
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from openai import OpenAI
from PIL import Image

from latentry_api_openai import mount
from latentry_sdk import ModelEntry, Preview
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import ENDED, KeptArtifact, KeptEvent, Outcome, QueuedJob, Submission
from latentry_sdk.service import Caller, Wish


def encoded(size: tuple[int, int] = (64, 48), form: str = "PNG", mode: str = "RGB", **more: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, more.pop("colour", 0)).save(file, form, **more)
    return file.getvalue()


@dataclass
class Jobs:
    """A service whose jobs end at once with pictures, or as the test says.

    `refusal` is raised at submission, `error` is what jobs fail with, and while `held` they do not end.
    """

    blobs: Blobs
    refusal: Exception | None = None
    error: Mapping[str, Any] | None = None
    held: bool = False
    previews: tuple[Preview, ...] = ()
    wishes: list[Wish] = field(default_factory=list)
    kept: dict[str, QueuedJob] = field(default_factory=dict)
    host: Any = field(default_factory=lambda: SimpleNamespace(models=models))

    def submit(self, wish: Wish, caller: Caller) -> QueuedJob:
        caller.require("generate")
        if self.refusal:
            raise self.refusal
        self.wishes.append(wish)
        submission = Submission(wish.request, owner=caller.name)
        job = QueuedJob(str(len(self.kept)), submission, "running", time())
        self.kept[job.id] = job if self.held else self._ended(job)
        return job

    def job(self, job: str, caller: Caller) -> QueuedJob:
        return self.kept[job]

    def cancel(self, job: str, caller: Caller) -> QueuedJob:
        if self.kept[job].status not in ENDED:
            self.kept[job] = replace(self.kept[job], status="cancelled", outcome=Outcome("cancelled"))
        return self.kept[job]

    async def ended(self, job: str, caller: Caller, *, seconds: float | None = None) -> QueuedJob:
        while self.kept[job].status not in ENDED:
            await asyncio.sleep(0.01)
        return self.kept[job]

    async def events(self, job: str, caller: Caller, *, after: int = 0) -> AsyncIterator[KeptEvent | Preview]:
        yield KeptEvent(job, 1, time(), "running", {})
        for preview in self.previews:
            yield preview
        await self.ended(job, caller)

    def _ended(self, job: QueuedJob) -> QueuedJob:
        if self.error:
            return replace(job, status="failed", outcome=Outcome("failed", error=self.error))
        asked = job.submission.request
        size, form = (asked.get("width", 64), asked.get("height", 64)), asked["format"]
        made = [
            KeptArtifact(f"{job.id}-{seed}", self.blobs.keep(picture), f"image/{form}", len(picture), seed)
            for seed in range(asked["batch"])
            for picture in [encoded(size, form.upper(), colour=(seed, 0, 0))]
        ]
        return replace(job, status="done", outcome=Outcome("done", made))


def models() -> list[ModelEntry]:
    return [ModelEntry("emoji", Path(__file__)), ModelEntry("sub/other.safetensors", Path("/nowhere"))]


@dataclass
class Started:
    """A server's address, its jobs, who asks, and clients."""

    url: str
    jobs: Jobs
    caller: Caller
    official: OpenAI
    plain: httpx.Client

    def client(self, **more: Any) -> OpenAI:
        return self.official.with_options(base_url=f"{self.url}/v1", **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.plain.post(f"{self.url}/v1{path}", **more)

    def stream(self, path: str, **more: Any) -> AbstractContextManager[httpx.Response]:
        return self.plain.stream("POST", f"{self.url}/v1{path}", **more)


@pytest.fixture(scope="session")
def server() -> Iterator[Started]:
    """The routes on a free port, and clients."""
    app, listener = FastAPI(), socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with OpenAI(base_url=url, api_key="none") as official, httpx.Client(timeout=20) as plain:
        started = Started(url, Jobs(Blobs(Path())), Caller(), official, plain)
        app.include_router(mount(started.jobs))

        @app.middleware("http")
        async def authenticate(request: Request, call_next: Any) -> Any:
            request.state.caller = started.caller
            return await call_next(request)

        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            threading.Event().wait(0.01)
        yield started
        server.should_exit = True
    thread.join()


@pytest.fixture
def started(server: Started, tmp_path: Path) -> Started:
    """The server, as if it had just been started."""
    vars(server.jobs).clear()
    vars(server.jobs).update(vars(Jobs(Blobs(tmp_path))))
    server.caller = Caller()
    return server
