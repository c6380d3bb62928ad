"""Encrypted connections: what comes by them, and that their handshakes are bounded as headers are."""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass
class Secret:
    """A server that speaks TLS, and what trusts it."""

    port: int
    trusting: ssl.SSLContext

    def connect(self) -> socket.socket:
        """A connection without a handshake."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def encrypted(self) -> ssl.SSLSocket:
        """A connection after its handshake."""
        return self.trusting.wrap_socket(self.connect(), server_hostname="127.0.0.1")

    def works(self) -> None:
        """A plain request must succeed."""
        found = httpx2.get(f"https://127.0.0.1:{self.port}/", verify=self.trusting, timeout=10)
        assert found.status_code == 200, found.text


@pytest.fixture
def secret(serve: Any, tmp_path: Path) -> Callable[..., Secret]:
    """Starts servers with a certificate of their own."""
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    made.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    files = {"tls_certificate": tmp_path / "server.pem", "tls_key": tmp_path / "server.key"}
    return lambda **given: Secret(serve(**files, **given).port, trusting)


def _ended(sock: socket.socket) -> bool:
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_requests_of_all_sizes_come_through(secret: Any) -> None:
    server = secret()
    with httpx2.Client(base_url=f"https://127.0.0.1:{server.port}", verify=server.trusting) as client:
        for size in (0, 1, 100_000, 5_000_000):
            headers = {"content-type": "application/octet-stream"}
            assert client.post("/", content=bytes(size), headers=headers).json()["size"] == size
        assert len(client.get("/large").content) == 64_000_000


def test_the_servers_own_origin_is_https(secret: Any) -> None:
    server = secret()
    own = f"https://127.0.0.1:{server.port}"
    for origin, status in ((own, 200), (own.replace("https", "http"), 403)):
        found = httpx2.post(own, headers={"origin": origin}, verify=server.trusting)
        assert found.status_code == status


def test_a_request_right_behind_the_handshake_is_not_lost(secret: Any) -> None:
    server = secret()
    for _ in range(20):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = server.trusting.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with closing(server.connect()) as sock:
            _shake(tls, sock, incoming, outgoing)
            tls.write(GET)
            sock.sendall(outgoing.read())  # the handshake's end and the request in one piece
            incoming.write(sock.recv(65536))
            assert _first(tls, sock, incoming).startswith(b"HTTP/1.1 200")


def _shake(tls: ssl.SSLObject, sock: socket.socket, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    """The handshake; its last piece is left in `outgoing`."""
    while True:
        try:
            return tls.do_handshake()
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))


def _first(tls: ssl.SSLObject, sock: socket.socket, incoming: ssl.MemoryBIO) -> bytes:
    while True:
        try:
            return tls.read(65536)
        except ssl.SSLWantReadError:
            incoming.write(sock.recv(65536))


@pytest.mark.parametrize("begun", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_a_handshake_that_never_ends_is_given_up(secret: Any, begun: bytes) -> None:
    server = secret(header_seconds=0.4)
    began = time.monotonic()
    with closing(server.connect()) as sock:
        sock.sendall(begun)
        server.works()
        assert _ended(sock)
    assert 0.3 < time.monotonic() - began < 3
    server.works()


def test_headers_that_never_end_are_given_up_behind_a_handshake_too(secret: Any) -> None:
    server = secret(header_seconds=0.4)
    with closing(server.encrypted()) as sock:
        sock.sendall(GET[:20])
        assert _ended(sock)
    server.works()


@pytest.mark.parametrize("begun", [GET, bytes(1000), b"SSH-2.0-x\r\n"])
def test_what_is_no_tls_is_ended_at_once(secret: Any, begun: bytes) -> None:
    server = secret()
    began = time.monotonic()
    with closing(server.connect()) as sock:
        sock.sendall(begun)
        assert _ended(sock)
    assert time.monotonic() - began < 3
    server.works()


def test_an_old_version_is_refused(secret: Any) -> None:
    server = secret()
    server.trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    server.works()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT@SECLEVEL=0")  # else OpenSSL itself offers nothing so old
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with closing(server.connect()) as sock, pytest.raises(ssl.SSLError, match=r"ALERT|EOF"):
        old.wrap_socket(sock)


@pytest.mark.parametrize("shaken", [False, True])
def test_silent_connections_make_room_for_new_ones(secret: Any, shaken: bool) -> None:
    server = secret(connections=8, header_seconds=30)
    with ExitStack() as stack:
        connect = server.encrypted if shaken else server.connect
        socks = [stack.enter_context(closing(connect())) for _ in range(40)]
        for _ in range(3):
            server.works()
        assert _ended(socks[0])


def test_a_place_is_given_back_by_every_end_of_a_handshake(secret: Any) -> None:
    server = secret(connections=8, header_seconds=30)
    for number in range(40):
        with closing(server.connect()) as sock:
            sock.sendall([b"", b"\x16\x03\x01", GET, bytes(100)][number % 4])
    with ExitStack() as stack:
        for _ in range(7):
            sock = stack.enter_context(closing(server.encrypted()))
            sock.sendall(GET.replace(b"/ ", b"/wait ", 1))
        server.works()
