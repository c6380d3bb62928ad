"""A server in this process, on a free port, with the toy and a queue in memory."""

import asyncio
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn

import latentry_toy
from latentry_api.app import create_app
from latentry_api.serve import Server, opened
from latentry_api.service import JobService
from latentry_api.settings import ServeOptions
from latentry_sdk import Host, StoreSpec, hookimpl


def beside(name: str) -> ModuleType:
    """A module of this folder: tests are imported by their files."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def toy() -> Iterator[Host]:
    """A host with the toy and the queue."""
    queue = beside("memory_queue").MemoryQueue

    @hookimpl
    def register_stores() -> list[StoreSpec]:
        return [StoreSpec("queue", queue)]

    with Host([latentry_toy, SimpleNamespace(register_stores=register_stores)]) as host:
        yield host


@pytest.fixture(scope="module")
def service(toy: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobService]:
    """The service over that host, taking jobs."""
    data = tmp_path_factory.mktemp("data")
    with opened(toy, ServeOptions(data=data, store="queue", executor="inline")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: JobService) -> Iterator[httpx.Client]:
    """A client of the app, which runs in a thread."""
    server = Server(uvicorn.Config(create_app(service), port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    sockets: Any = server.servers[0].sockets
    with httpx.Client(base_url=f"http://127.0.0.1:{sockets[0].getsockname()[1]}", timeout=30) as client:
        yield client
    server.should_exit = True
    thread.join()
