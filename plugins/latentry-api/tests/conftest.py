"""Servers: the toy and the real queue in this process, on a free port; and whole ones as processes."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

import latentry_store_sql
import latentry_toy
from latentry_api.app import create_app
from latentry_api.opening import opened
from latentry_api.security.serving import uvicorn_settings
from latentry_api.security.stack import secured
from latentry_api.serve import Server
from latentry_api.service import JobService
from latentry_api.settings import ServeOptions
from latentry_sdk import Host
from latentry_sdk.testing.servers import Served, served


@pytest.fixture(scope="module")
def toy() -> Iterator[Host]:
    """A host with the toy and the queue."""
    with Host([latentry_toy, latentry_store_sql]) as host:
        yield host


@pytest.fixture(scope="module")
def service(toy: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobService]:
    """The service over that host, taking jobs."""
    data = tmp_path_factory.mktemp("data")
    with opened(toy, ServeOptions(data=data, executor="inline")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: JobService) -> Iterator[httpx.Client]:
    """A client of the app, which runs in a thread."""
    with running(service) as client:
        yield client


@contextmanager
def running(service: JobService) -> Iterator[httpx.Client]:
    """A client of a service's app behind its security, served by a thread."""
    app = secured(create_app(service), service.limits)
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, **uvicorn_settings(service.limits))
    server = Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    sockets: Any = server.servers[0].sockets
    with httpx.Client(base_url=f"http://127.0.0.1:{sockets[0].getsockname()[1]}", timeout=30) as client:
        yield client
    server.should_exit = True
    thread.join()


@dataclass(frozen=True)
class Started:
    """A server as a process of its own, and a client of it."""

    server: Served
    client: httpx.Client


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Start servers on this test's data folder, one after the other."""
    with ExitStack() as all_of_them:

        def start(*flags: str, **variables: str) -> Started:
            server = all_of_them.enter_context(served(tmp_path / "data", *flags, **variables))
            client = all_of_them.enter_context(httpx.Client(base_url=server.url, timeout=60))
            return Started(server, client)

        yield start
