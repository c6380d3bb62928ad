"""A small application behind the rules, asked in process or by sockets on a real server."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn

import latentry_toy
from latentry_api.security.audit import note
from latentry_api.security.options import SecurityOptions
from latentry_api.security.serving import uvicorn_settings
from latentry_api.security.stack import secured
from latentry_sdk import Host


async def small(scope: Any, receive: Any, send: Any) -> None:
    """Says who asked and how much came; `/large` sends 64 MB, `/wait` waits, `/unread` reads nothing."""
    if scope["type"] == "websocket":
        await _echo(receive, send)
    elif scope["path"] == "/large":
        await _much(send)
    else:
        await _said(scope, receive, send)


async def _much(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(64):
        await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _said(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/wait":
        await asyncio.sleep(1)
    size = 0 if scope["path"] == "/unread" else await _size(receive)
    if scope["path"] == "/wait-after":
        await asyncio.sleep(1)
    caller = scope["latentry.caller"]
    await asyncio.to_thread(note, jobs="j-1", prompts="a secret wish")
    answer = {"caller": caller.name, "scopes": sorted(caller.scopes), "size": size}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def _size(receive: Any) -> int:
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client has gone")
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return size


async def _echo(receive: Any, send: Any) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text") or ""})


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def type(self) -> str:
        """The last word of a problem's type."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return str(self.json["type"]).rpartition(":")[2]


Ask = Callable[..., Awaitable[Answer]]


def asker(options: SecurityOptions, app: Any) -> Ask:
    """A function that asks the application in process; every question goes through the same rules."""
    behind = secured(app, options)

    async def ask(
        method: str = "GET",
        path: str = "/",
        *,
        client: str = "127.0.0.1",
        content: bytes | AsyncIterator[bytes] | None = None,
        host: str = "127.0.0.1:8585",
        **headers: str,
    ) -> Answer:
        transport = httpx2.ASGITransport(app=behind, client=(client, 1234))
        named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8585") as asker:
            found = await asker.request(method, path, headers=named, content=content)
        return Answer(found.status_code, found.headers, found.content)

    return ask


@dataclass
class Running:
    """A server on a free port."""

    port: int
    server: uvicorn.Server

    def connect(self, *, patience: float = 10) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=patience)

    def talk(self, *pieces: bytes, pause: float = 0.0, patience: float = 10) -> bytes:
        """Send pieces, and read until the server closes or says nothing more."""
        with closing(self.connect(patience=patience)) as sock:
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(pause)
            return read_all(sock)

    def works(self) -> None:
        """A plain request must succeed."""
        found = httpx2.get(f"http://127.0.0.1:{self.port}/", timeout=10)
        assert found.status_code == 200, found.text


def read_all(sock: socket.socket) -> bytes:
    """All that comes until the other side closes or says nothing."""
    found = b""
    try:
        while piece := sock.recv(65536):
            found += piece
    except (TimeoutError, ConnectionError):
        pass
    return found


Serve = Callable[..., Running]


@pytest.fixture
def asking() -> Callable[..., Ask]:
    """Makes a function that asks the small application, or another, behind the rules of some options."""

    def make(app: Any = small, **given: Any) -> Ask:
        return asker(SecurityOptions(**given), app)

    return make


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """A host with the toy alone."""
    with Host([latentry_toy]) as host:
        yield host


@contextmanager
def servers() -> Iterator[Serve]:
    """Starts servers with options, and stops them afterwards."""
    started: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(app: Any = small, **given: Any) -> Running:
        options = SecurityOptions(**given)
        config = uvicorn.Config(
            secured(app, options),
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
            **uvicorn_settings(options),
        )
        listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        started.append((server, thread, listener))
        until = time.monotonic() + 10
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        return Running(listener.getsockname()[1], server)

    yield start
    for server, thread, listener in started:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers with options."""
    with servers() as start:
        yield start


@pytest.fixture(scope="module")
def lasting() -> Iterator[Running]:
    """One server for all tests of a module that leave it as it was."""
    with servers() as start:
        yield start()
