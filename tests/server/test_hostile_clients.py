"""A whole server against the network and the browser: each attack ends in bounds, the next job succeeds."""

import re
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from latentry_sdk.testing.servers import Served, served

PLUGINS = {"LATENTRY_PLUGINS": "api,api-a1111,api-openai,store-sql,workers,toy"}
QUICK = ("--header-seconds", "1", "--body-seconds", "1", "--write-seconds", "1")
MEGABYTES = 400
"""What the host process may hold at its worst; workers have memory of their own."""

GOOD: Mapping[str, Any] = {"task": "toy", "prompt": "cross", "steps": 2, "seed": 1}
POST = "POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


class Target:
    """A started server: what attacks speak to, and what must work after them."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.where = urlsplit(server.url).hostname, urlsplit(server.url).port

    def connect(self) -> socket.socket:
        """A connection, with some patience."""
        return socket.create_connection(self.where, timeout=20)  # type: ignore[arg-type]

    def ask(self, method: str, path: str, **named: Any) -> httpx.Response:
        """An answer, on a connection of its own."""
        return httpx.request(method, f"{self.server.url}{path}", timeout=60, **named)

    def said(self, *pieces: bytes | str) -> int:
        """The status of what is answered to raw bytes; 0 where the connection just ends."""
        with closing(self.connect()) as sock:
            try:
                for piece in pieces:
                    sock.sendall(piece.encode() if isinstance(piece, str) else piece)
            except ConnectionError:
                pass  # it had enough; what it said may be there to read
            return status(sock)

    def works(self) -> None:
        """A good job succeeds, quickly and in bounds of memory."""
        began = time.monotonic()
        found = self.ask("POST", "/api/v1/jobs", json=dict(GOOD), params={"wait": 30})
        assert found.json()["status"] == "done", found.text
        assert time.monotonic() - began < 10
        assert peak(self.server.process.pid) < MEGABYTES * 1e6


def peak(process: int) -> int:
    """The most memory that a process has held, in bytes."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) * 1024


def status(sock: socket.socket) -> int:
    """The status of the answer, read until the connection ends."""
    answer = b""
    try:
        while piece := sock.recv(65536):
            answer += piece
    except ConnectionError:
        pass
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with the toy and both foreign surfaces, short of patience."""
    with served(tmp_path_factory.mktemp("hostile") / "data", *QUICK, **PLUGINS) as server:
        yield Target(server)


def _json(**more: Any) -> Callable[[Target], int]:
    return lambda target: target.ask("POST", "/api/v1/jobs", json={**GOOD, **more}).status_code


def _asked(method: str, path: str, **named: Any) -> Callable[[Target], int]:
    return lambda target: target.ask(method, path, **named).status_code


def _raw(*pieces: bytes | str) -> Callable[[Target], int]:
    return lambda target: target.said(*pieces)


def _chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 100_000):
        yield b" " * 100_000


def _poured(target: Target) -> int:
    """An endless chunked body."""
    with closing(target.connect()) as sock:
        sock.sendall(f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode())
        _pour(sock, b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        return status(sock) or 413


def _half_closed(target: Target) -> int:
    """A hundred clients that stop talking in the middle."""
    with ExitStack() as stack:
        socks = [stack.enter_context(closing(target.connect())) for _ in range(100)]
        for sock in socks:
            sock.sendall(f"{POST}Content-Length: 1000\r\n\r\n{{".encode())
            sock.shutdown(socket.SHUT_WR)
        return max(status(sock) for sock in socks)


def _handshake(target: Target, path: str, **headers: str) -> tuple[socket.socket, int]:
    sock = target.connect()
    fixed = {"Host": "127.0.0.1", "Connection": "Upgrade", "Upgrade": "websocket"}
    key = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**fixed, **key, **headers}.items())
    sock.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
    answer = sock.recv(65536)
    return sock, int(answer.split(b" ", 2)[1])


def _sockets(target: Target) -> int:
    """More WebSockets than one caller may have."""
    with ExitStack() as stack:
        found = [_handshake(target, "/api/v1/socket") for _ in range(300)]
        for sock, _ in found:
            stack.enter_context(closing(sock))
        assert found[0][1] == 101
        return max(status for _, status in found)


def _flood(target: Target) -> int:
    """Pings and messages without end, and no answer taken."""
    frame = b"\x89\xe4" + bytes(4 + 100) + b"\x81\x82" + bytes(4) + b"{}"
    sock, begun = _handshake(target, "/api/v1/socket")
    assert begun == 101
    with closing(sock):
        _pour(sock, frame * 100)
    return 403


def _pour(sock: socket.socket, piece: bytes) -> None:
    """Send without end, until the server has had enough."""
    with suppress(ConnectionError):
        while True:
            sock.sendall(piece)


def _from(origin: str) -> Callable[[Target], int]:
    return _asked("POST", "/api/v1/jobs", json=dict(GOOD), headers={"origin": origin})


def _socket_from(origin: str) -> Callable[[Target], int]:
    def attack(target: Target) -> int:
        sock, found = _handshake(target, "/api/v1/socket", Origin=origin)
        sock.close()
        return found

    return attack


PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="image[]"; filename="x.png"\r\n\r\n\r\n' * 100_000
    + b"--b--\r\n"
)
FORM = {"content-type": "multipart/form-data; boundary=b"}
PLAIN = {"content-type": "text/plain"}
NULL, REBOUND = {"origin": "null"}, {"host": "evil.example"}
URLS = [
    "http://127.0.0.1/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "file:///etc/passwd",
]
ATTACKS: Mapping[str, tuple[Callable[[Target], int], Sequence[int]]] = {
    **{f"the URL {url}": (_json(inputs={"image": {"url": url}}), (422,)) for url in URLS},
    "a body of 100 MB": (_asked("POST", "/api/v1/jobs", content=bytes(100_000_000)), (413, 415)),
    "a blob of 100 MB": (_asked("POST", "/api/v1/blobs", content=bytes(100_000_000),
                                headers={"content-type": "image/png"}), (413,)),
    "a text of 60 MB": (_json(prompt="a" * 60_000_000), (422,)),
    "a chunked body of 100 MB": (lambda target: target.ask(
        "POST", "/api/v1/jobs", content=_chunks(100_000_000), headers={"content-type": "application/json"}
    ).status_code, (413,)),
    "an endless body": (_poured, (413,)),
    "deep JSON": (_asked("POST", "/api/v1/jobs", content=b"[" * 100_000,
                         headers={"content-type": "application/json"}), (400,)),
    "many values": (_asked("POST", "/api/v1/jobs", content=b"[" + b"0," * 5_000_000 + b"0]",
                           headers={"content-type": "application/json"}), (400,)),
    "headers that never end": (_raw("GET /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "), (0,)),
    "a body that never ends": (_raw(f"{POST}Content-Length: 1000\r\n\r\n{{"), (408,)),
    "half-closed connections": (_half_closed, (0,)),
    "too many WebSockets": (_sockets, (429,)),
    "a flood on a WebSocket": (_flood, (403,)),
    "100,000 parts": (_asked("POST", "/v1/images/edits", content=PARTS, headers=FORM), (400,)),
    "two lengths": (_raw(f"{POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), (400,)),
    "no HTTP": (_raw(bytes(range(256)) * 40), (400, 0)),
    "a null origin": (_from("null"), (403,)),
    "a foreign origin": (_from("http://evil.example"), (403,)),
    "a null origin's WebSocket": (_socket_from("null"), (403,)),
    "a foreign origin's WebSocket": (_socket_from("http://evil.example"), (403,)),
    "a foreign origin's interrupt": (_asked("POST", "/sdapi/v1/interrupt", headers=NULL), (403,)),
    "a rebound name": (_asked("POST", "/api/v1/jobs", json=dict(GOOD), headers=REBOUND), (421,)),
    "a rebound name's question": (_asked("GET", "/api/v1/jobs", headers=REBOUND), (421,)),
    "a text": (_asked("POST", "/api/v1/jobs", content=b'{"task":"toy"}', headers=PLAIN), (415,)),
    "a text to A1111's": (_asked("POST", "/sdapi/v1/txt2img", content=b"{}", headers=PLAIN), (415,)),
    "a text to OpenAI's": (_asked("POST", "/v1/images/generations", content=b"{}", headers=PLAIN), (415,)),
    "a form": (_asked("POST", "/api/v1/jobs", data={"task": "toy"}), (415,)),
    "a form of parts": (_asked("POST", "/api/v1/jobs", files={"task": b"toy"}), (415,)),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_in_bounds_and_the_next_job_succeeds(target: Target, attack: str) -> None:
    attacks, statuses = ATTACKS[attack]
    began = time.monotonic()
    assert attacks(target) in statuses
    assert time.monotonic() - began < 15
    target.works()
    assert target.server.process.poll() is None


def test_no_get_changes_anything(target: Target) -> None:
    """Every route that the document names, asked as a page's picture would ask."""
    target.works()
    before = _state(target)
    for path, methods in target.ask("GET", "/openapi.json").json()["paths"].items():
        if "get" in methods and "{" not in path:
            target.ask("GET", path, headers={"origin": "http://evil.example", "sec-fetch-mode": "no-cors"})
        for method in {"post", "put", "patch", "delete"} & set(methods):
            if "get" not in methods:
                assert target.ask("GET", path.replace("{id}", "x")).status_code in (404, 405), (method, path)
    assert _state(target) == before


def _state(target: Target) -> Any:
    return target.ask("GET", "/api/v1/jobs", params={"limit": 200}).json()


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open more files than it holds connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 11_000 if hard == resource.RLIM_INFINITY else min(11_000, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_ten_thousand_silent_connections_do_not_stop_the_service(tmp_path: Path) -> None:
    with ExitStack() as stack:
        target = Target(stack.enter_context(served(tmp_path / "data", "--header-seconds", "120", **PLUGINS)))
        target.works()
        for _ in range(10_000):
            stack.enter_context(closing(target.connect()))
        for _ in range(5):
            target.works()


def test_more_silent_connections_than_the_server_holds_make_room(tmp_path: Path) -> None:
    flags = ("--header-seconds", "120", "--connections", "100")
    with ExitStack() as stack:
        target = Target(stack.enter_context(served(tmp_path / "data", *flags, **PLUGINS)))
        for _ in range(1_000):
            sock = stack.enter_context(closing(target.connect()))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for _ in range(5):
            target.works()


LOCAL = ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]


def test_a_server_that_fetches_reaches_no_private_address(tmp_path: Path) -> None:
    with ExitStack() as stack:
        inside = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        inside.settimeout(0.2)
        target = Target(stack.enter_context(served(tmp_path / "data", "--fetch-urls", **PLUGINS)))
        ports = ("", f":{inside.getsockname()[1]}")
        for url in [*URLS, *(f"http://{name}{port}/a.png" for name in LOCAL for port in ports)]:
            found = target.ask("POST", "/api/v1/jobs", json={**GOOD, "inputs": {"image": {"url": url}}})
            assert found.status_code == 422, url
            assert found.json()["type"].rpartition(":")[2] in ("not_public", "not_fetched")
        with pytest.raises(TimeoutError):
            inside.accept()
        target.works()
