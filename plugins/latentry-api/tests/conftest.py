"""Servers: the toy and the real queue in this process, on a free port; and whole ones as processes."""

import asyncio
import os
import signal
import subprocess
import sys
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
from latentry_api.security import secured, uvicorn_settings
from latentry_api.serve import Server, opened
from latentry_api.service import JobService
from latentry_api.settings import ServeOptions
from latentry_sdk import Host


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


@dataclass
class Served:
    """A server as its own process: `latentry serve`."""

    process: "subprocess.Popen[str]"
    client: httpx.Client
    log: Path

    def stop(self) -> tuple[int, str]:
        """Ask it to stop; its exit code, and what it printed after its URL."""
        self.process.send_signal(signal.SIGTERM)
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, rest


@contextmanager
def served(data: Path, *flags: str, **variables: str) -> Iterator[Served]:
    """`latentry serve` on a free port; it is killed if it still runs at the end."""
    command = [sys.executable, "-m", "latentry", "serve", "--port", "0", "--data", str(data), *flags]
    log = data.with_name(f"{data.name}.log")
    with log.open("ab") as errors:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http"), log.read_text()
        with httpx.Client(base_url=url, timeout=60) as client:
            yield Served(process, client, log)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start servers on this test's data folder."""
    with ExitStack() as running_ones:
        yield lambda *flags, **variables: running_ones.enter_context(
            served(tmp_path / "data", *flags, **variables)
        )
