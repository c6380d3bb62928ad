"""A real server against clients that mean it harm; after each of them a plain request must succeed."""

import base64
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from latentry_api.security.tokens import add_token

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def _status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:100]
    return int(answer.split(b" ", 2)[1])


def _ended(sock: socket.socket) -> bool:
    """Whether the server ends the connection before the socket's patience does."""
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def _until(what: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    return what()


def _answers(server: Any) -> bool:
    with suppress(httpx2.TransportError):
        server.works()
        return True
    return False


def _drip(sock: socket.socket, data: bytes, pause: float) -> None:
    for byte in data:
        sock.sendall(bytes([byte]))
        time.sleep(pause)


SLOW_HEADERS = [b"", b"G", b"GET / HT", GET, GET + b"X-A: b\r\n"]


@pytest.mark.parametrize("begun", SLOW_HEADERS)
def test_headers_that_never_end_are_given_up(serve: Any, begun: bytes) -> None:
    server = serve(header_seconds=0.4)
    began = time.monotonic()
    with closing(server.connect(patience=3)) as sock:
        sock.sendall(begun)
        server.works()
        assert _ended(sock)
    assert 0.3 < time.monotonic() - began < 2
    server.works()


def test_headers_that_drip_are_given_up(serve: Any) -> None:
    server = serve(header_seconds=0.5)
    with closing(server.connect()) as sock:
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            _drip(sock, GET * 100, 0.02)
        assert time.monotonic() - began < 2
    server.works()


def test_a_second_request_has_the_time_that_the_first_had(serve: Any) -> None:
    server = serve(header_seconds=0.5)
    with closing(server.connect(patience=3)) as sock:
        for _ in range(4):
            sock.sendall(GET + b"\r\n")
            time.sleep(0.3)
            assert _status(sock.recv(65536)) == 200
        sock.sendall(GET)
        assert _ended(sock)
    server.works()


def test_an_answer_may_take_longer_than_headers_may(serve: Any) -> None:
    server = serve(header_seconds=0.2)
    assert httpx2.get(f"http://127.0.0.1:{server.port}/wait", timeout=5).status_code == 200


SLOW_BODIES = [
    POST + b"Content-Length: 100\r\n\r\n{",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[1,2,\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nffff",
]


@pytest.mark.parametrize("begun", SLOW_BODIES)
def test_a_body_that_stands_still_ends_the_connection(serve: Any, begun: bytes) -> None:
    server = serve(body_seconds=0.3)
    began = time.monotonic()
    answer = server.talk(begun)
    assert _status(answer) == 408
    assert b"body_too_slow" in answer
    assert time.monotonic() - began < 2
    server.works()


def _pour(sock: socket.socket, piece: bytes, most: int) -> int:
    """Send pieces until the server has had enough; how many bytes went."""
    sent = 0
    try:
        while sent < most:
            sock.sendall(piece)
            sent += len(piece)
    except ConnectionError:
        pass
    return sent


def test_an_endless_chunked_body_is_refused_and_ended(serve: Any) -> None:
    server = serve(body_megabytes=1)
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with closing(server.connect()) as sock:
        sock.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        answers: list[bytes] = []
        reader = threading.Thread(target=lambda: answers.append(sock.recv(65536)))
        reader.start()
        began = time.monotonic()
        _pour(sock, piece, 10**11)
        reader.join(5)
        assert time.monotonic() - began < 6
    assert _status(answers[0]) == 413
    server.works()


def test_a_client_that_reads_only_after_it_has_sent_all_still_sees_why(serve: Any) -> None:
    server = serve(body_megabytes=1)
    found = httpx2.post(
        f"http://127.0.0.1:{server.port}/",
        content=bytes(8_000_000),
        headers={"content-type": "application/octet-stream"},
    )
    assert found.status_code == 413
    server.works()


def test_a_body_that_nobody_reads_is_not_waited_for(serve: Any) -> None:
    server = serve()
    with closing(server.connect(patience=5)) as sock:
        sock.sendall(POST.replace(b"/ ", b"/unread ", 1) + b"Content-Length: 1000000\r\n\r\n{")
        assert _status(sock.recv(65536)) == 200
        with pytest.raises(ConnectionError):
            _drip(sock, b" " * 100, 0.05)
    server.works()


HALF = [
    b"",
    b"GET /",
    GET + b"\r\n",
    POST + b"Content-Length: 10\r\n\r\n12",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12",
]


@pytest.mark.parametrize("begun", HALF)
def test_half_closed_connections_end(serve: Any, begun: bytes) -> None:
    server = serve()
    with closing(server.connect(patience=5)) as sock:
        sock.sendall(begun)
        sock.shutdown(socket.SHUT_WR)
        assert _ended(sock)
    assert _until(lambda: not server.server.server_state.connections)
    server.works()


@pytest.mark.parametrize(("trusted", "statuses"), [((), [200, 429]), (("127.0.0.0/8",), [200, 200])])
def test_only_a_named_proxy_is_believed_about_its_clients(
    serve: Any, trusted: tuple[str, ...], statuses: list[int]
) -> None:
    server = serve(trusted_proxies=trusted, requests_per_minute=1)
    where = f"http://127.0.0.1:{server.port}/"
    clients = ("203.0.113.1", "203.0.113.2")
    assert [httpx2.get(where, headers={"x-forwarded-for": one}).status_code for one in clients] == statuses


def test_a_client_that_takes_nothing_is_left(serve: Any) -> None:
    server = serve(write_seconds=0.5)
    with closing(server.connect()) as sock:
        sock.sendall(GET.replace(b"/ ", b"/large ", 1) + b"\r\n")
        assert _until(lambda: len(server.server.server_state.tasks) == 1)
        server.works()
        assert _until(lambda: not server.server.server_state.connections)
        assert _until(lambda: not server.server.server_state.tasks)
    server.works()


def test_a_client_that_takes_slowly_is_served(serve: Any) -> None:
    server = serve(write_seconds=0.5)
    with closing(server.connect()) as sock:
        sock.sendall(GET.replace(b"/ ", b"/large ", 1) + b"Connection: close\r\n\r\n")
        size, began = 0, time.monotonic()
        while piece := sock.recv(4_000_000):
            size += len(piece)
            if time.monotonic() - began < 1.5:
                time.sleep(0.1)
    assert size > 64_000_000


def test_silent_connections_make_room_for_new_ones(serve: Any) -> None:
    server = serve(connections=8)
    with ExitStack() as stack:
        socks = [stack.enter_context(closing(server.connect(patience=5))) for _ in range(40)]
        for _ in range(3):
            server.works()
        assert _ended(socks[0])
        socks[-1].sendall(GET + b"\r\n")
        assert _status(socks[-1].recv(65536)) == 200, "the youngest are kept"


def test_a_place_is_given_back_by_every_end_of_a_connection(serve: Any) -> None:
    server = serve(connections=8, header_seconds=30)
    for number in range(60):
        sock = server.connect()
        sock.sendall([b"", GET, GET + b"\r\n", b"nonsense\r\n\r\n"][number % 4])
        if number % 3 == 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    assert _until(lambda: _answers(server)), "those before it have been accepted, too"
    assert _until(lambda: not server.server.server_state.connections)
    with ExitStack() as stack:
        for _ in range(7):
            sock = stack.enter_context(closing(server.connect()))
            sock.sendall(GET.replace(b"/ ", b"/wait ", 1) + b"\r\n")
        server.works()


SECOND = b"GET /second HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = {
    "both lengths": POST + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SECOND,
    "both lengths, turned round": POST + CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + SECOND,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SECOND,
    "a list of lengths": POST + b"Content-Length: 0, 44\r\n\r\n" + SECOND,
    "a signed length": POST + b"Content-Length: +2\r\n\r\n{}" + SECOND,
    "a negative length": POST + b"Content-Length: -2\r\n\r\n{}" + SECOND,
    "a hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}" + SECOND,
    "a length with a gap": POST + b"Content-Length: 1 0\r\n\r\n{}" + SECOND,
    "a length of 5000 digits": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SECOND,
    "two codings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "chunked twice": POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n" + SECOND,
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "a name with a blank": POST + b"Transfer Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "a control character": POST + b"X-A: a\x00b\r\n\r\n" + SECOND,
    "a carriage return alone": POST + b"X-A: a\rContent-Length: 44\r\n\r\n" + SECOND,
    "a negative chunk": POST + CHUNKED + b"\r\n-1\r\n{}\r\n0\r\n\r\n" + SECOND,
    "a chunk with 0x": POST + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n" + SECOND,
    "a chunk with an underscore": POST + CHUNKED + b"\r\n1_0\r\n{}\r\n0\r\n\r\n" + SECOND,
    "a chunk of 2^80": POST + CHUNKED + b"\r\n" + b"f" * 20 + b"1\r\n{}" + SECOND,
    "a chunk that ends wrong": POST + CHUNKED + b"\r\n2\r\n{}XX0\r\n\r\n" + SECOND,
    "two hosts": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n" + SECOND,
    "no host": b"GET / HTTP/1.1\r\n\r\n" + SECOND,
    "another server's URL": b"GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + SECOND,
    "HTTP/0.9": b"GET /\r\n\r\n" + SECOND,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SECOND,
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "no end": b"\xff" * 200_000,
    "a header of 1 MB": GET + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "100,000 headers": GET + b"X-A: b\r\n" * 100_000 + b"\r\n",
    "a URL of 1 MB": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize("shape", SMUGGLED)
def test_what_could_hide_a_second_request_is_refused_as_one(lasting: Any, shape: str) -> None:
    with closing(lasting.connect(patience=5)) as sock:
        _pour(sock, SMUGGLED[shape], 1)
        answer = b""
        try:
            while piece := sock.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass  # it had enough of what was sent; the answer may be lost with it
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert not answer or _status(answer) == 400
    lasting.works()


WHOLE = [
    GET + b"\r\n",
    POST + b'Content-Length: 12\r\n\r\n{"a": [1, 2]}',
    POST + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" + b"\x81\x82\x00\x00\x00\x00{}",
]


@pytest.mark.parametrize("seed", range(8))
def test_damaged_requests_are_answered_or_ended_but_never_break_the_server(lasting: Any, seed: int) -> None:
    draw, answered = random.Random(seed), 0
    for _ in range(30):
        data = bytearray(draw.choice(WHOLE))
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(data))
            data[at : at + draw.choice([0, 0, 1, 1, 5])] = draw.randbytes(draw.choice([0, 1, 1, 2, 30]))
        with closing(lasting.connect(patience=0.3)) as sock:
            _pour(sock, bytes(data), 1)
            answer = b""
            with suppress(TimeoutError, ConnectionError):
                answer = sock.recv(65536)
        answered += bool(answer)
        assert not answer or _status(answer) < 500, bytes(data)
    assert answered > 10
    lasting.works()


def test_expecting_to_be_told_to_go_on_is_refused_before_the_body(lasting: Any) -> None:
    answer = lasting.talk(POST + b"Expect: 100-continue\r\nContent-Length: 999000000\r\n\r\n", patience=3)
    assert _status(answer) == 413
    lasting.works()


def test_a_form_of_100000_parts_is_refused(lasting: Any) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="image[]"; filename="x.png"\r\n\r\n\r\n'
    found = httpx2.post(
        f"http://127.0.0.1:{lasting.port}/",
        content=part * 100_000 + b"--b--\r\n",
        headers={"content-type": "multipart/form-data; boundary=b"},
        timeout=10,
    )
    assert found.status_code == 400
    lasting.works()


def _upgraded(server: Any, *, patience: float = 5, **headers: str) -> tuple[socket.socket, bytes]:
    """A connection after its WebSocket handshake, and the answer to that."""
    sock = server.connect(patience=patience)
    key = base64.b64encode(os.urandom(16)).decode()
    fixed = {"Host": "127.0.0.1", "Connection": "Upgrade", "Upgrade": "websocket"}
    lines = {**fixed, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, **headers}
    sock.sendall(
        b"GET /socket HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\n"
    )
    answer = b""
    while b"\r\n\r\n" not in answer and (piece := sock.recv(65536)):
        answer += piece
    return sock, answer


def _frame(kind: int, data: bytes = b"", *, last: bool = True) -> bytes:
    """A frame of RFC 6455 with a mask of zeros; `kind` is 0 to go on, 1 for text, 9 for a ping."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    return bytes([(0x80 if last else 0) | kind]) + size + bytes(4) + data


def test_a_websocket_works(serve: Any) -> None:
    server = serve()
    sock, answer = _upgraded(server)
    with closing(sock):
        assert _status(answer) == 101
        sock.sendall(_frame(1, b"hello"))
        assert sock.recv(100) == b"\x81\x05hello"


@pytest.mark.parametrize(
    "headers", [{"Origin": "null"}, {"Origin": "http://evil.example"}, {"Host": "evil.example"}]
)
def test_a_websocket_from_elsewhere_is_refused(serve: Any, headers: dict[str, str]) -> None:
    server = serve()
    sock, answer = _upgraded(server, **headers)
    sock.close()
    assert _status(answer) in (403, 421)
    server.works()


def test_a_websocket_needs_a_token_where_requests_do(serve: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = add_token(file, "a", ["read"])
    server, found = serve(token_file=file), {}
    for shown in (None, "Bearer wrong", f"Bearer {token}"):
        sock, answer = _upgraded(server, **({"Authorization": shown} if shown else {}))
        sock.close()
        found[shown] = _status(answer)
    assert list(found.values()) == [401, 401, 101]


def test_more_websockets_than_a_caller_may_have_are_refused_and_given_back(serve: Any) -> None:
    server = serve(concurrent_websockets=3)
    with ExitStack() as stack:
        found = [_upgraded(server) for _ in range(6)]
        for sock, _ in found:
            stack.enter_context(closing(sock))
        assert [_status(answer) for _, answer in found] == [101] * 3 + [429] * 3
        server.works()
    assert _until(lambda: not server.server.server_state.tasks)
    sock, answer = _upgraded(server)
    sock.close()
    assert _status(answer) == 101


FLOODS = {
    "messages": _frame(1, b"x") * 50,
    "pings": _frame(9, b"x" * 100) * 50,
    "a message that never ends": _frame(0, b"", last=False) * 500,
    "a message that grows": _frame(0, b"x" * 1000, last=False) * 10,
}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("reads", [True, False])
def test_a_flood_on_a_websocket_ends_it(serve: Any, flood: str, reads: bool) -> None:
    server = serve(write_seconds=1)
    sock, answer = _upgraded(server, patience=10)
    assert _status(answer) == 101
    with closing(sock):
        if "never" in flood or "grows" in flood:
            sock.sendall(_frame(1, b"begun", last=False))
        reader = threading.Thread(target=_ended, args=(sock,), daemon=True)
        if reads:
            reader.start()
        began = time.monotonic()
        sent = _pour(sock, FLOODS[flood], 10**9)
        assert sent < 50_000_000
        assert time.monotonic() - began < 8
        server.works()
    assert _until(lambda: not server.server.server_state.tasks, 10)
    server.works()


def test_a_large_message_on_a_websocket_ends_it(serve: Any) -> None:
    server = serve()
    sock, _ = _upgraded(server)
    with closing(sock):
        sock.sendall(b"\x81\xff" + struct.pack("!Q", 10**12) + bytes(4))
        assert _ended(sock)
    server.works()
