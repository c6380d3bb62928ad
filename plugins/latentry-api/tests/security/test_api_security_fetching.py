"""Pictures by URL: public addresses only, whatever names and redirects say, within bytes and time.

The servers are real and on this machine. 127.0.0.1 stands for the internet where a test permits it, and
127.0.0.2 for what nobody may reach.
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from latentry_api.security.addresses import is_public, resolved
from latentry_api.security.connecting import NotPublic
from latentry_api.security.fetching import Fetcher, FetchLimits, NotFetched, guarded_fetch
from latentry_api.security.options import SecurityOptions
from latentry_sdk import Unavailable

PICTURE = b"\x89PNG\r\n\x1a\n" + b"x" * 1000
PRIVATE = [
    "127.0.0.1",
    "127.255.0.3",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "224.0.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "fe80::1",
    "fe80::1%1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:db8::1",
    "2001::1",
]
PUBLIC = [
    "8.8.8.8",
    "93.184.215.14",
    "2606:4700:4700::1111",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
    "2002:808:808::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_everybodys_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


class Handler(BaseHTTPRequestHandler):
    """Answers as the path says."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        try:
            getattr(self, f"_{self.path.strip('/').partition('/')[0].replace('-', '_')}")()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def _begin(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _picture(self) -> None:
        self._begin(content_type="image/png", content_length=str(len(PICTURE)))
        self.wfile.write(PICTURE)

    def _to(self) -> None:
        self._begin(302, location=self.path.removeprefix("/to/"), content_length="0")

    def _round(self) -> None:
        self._begin(307, location="/round", content_length="0")

    def _html(self) -> None:
        self._begin(content_type="text/html", content_length="4")
        self.wfile.write(b"<p>x")

    def _svg(self) -> None:
        self._begin(content_type="image/svg+xml", content_length="6")
        self.wfile.write(b"<svg/>")

    def _zipped(self) -> None:
        self._begin(content_type="image/png", content_encoding="gzip", content_length="0")

    def _gone(self) -> None:
        self._begin(404, content_type="image/png", content_length="0")

    def _large(self) -> None:
        self._begin(content_type="image/png", content_length="300000000")
        self._pour()

    def _endless(self) -> None:
        self._begin(content_type="image/png")
        self._pour()

    def _pour(self) -> None:
        while True:
            self.wfile.write(bytes(100_000))

    def _drip(self) -> None:
        self._begin(content_type="image/png")
        self._slowly()

    def _drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")
        self._slowly()

    def _silent(self) -> None:
        time.sleep(3)

    def _slowly(self) -> None:
        for _ in range(60):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def _garbage(self) -> None:
        self.wfile.write(b"\x00\xff nothing like HTTP\r\n\r\n")


@pytest.fixture
def site() -> Iterator[Callable[[str], ThreadingHTTPServer]]:
    """Starts a server at an address; its `asked` holds the paths and headers of all requests."""
    started: list[ThreadingHTTPServer] = []

    def start(address: str) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer((address, 0), Handler)
        server.asked = []  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def limits(*servers: ThreadingHTTPServer, size: int = 10_000, seconds: float = 5) -> FetchLimits:
    """Limits that allow the ports of these servers."""
    return FetchLimits(size, seconds, ports=frozenset(server.server_port for server in servers))


def only(*addresses: str) -> Callable[[str], bool]:
    """Permits these addresses."""
    return lambda address: address in addresses


@pytest.fixture
def fetch(site: Any) -> Callable[..., bytes]:
    """Fetches a path of a server whose address is permitted."""

    def get(path: str, **bounds: Any) -> bytes:
        server = site("127.0.0.1")
        url = f"http://127.0.0.1:{server.server_port}{path}"
        return guarded_fetch(url, limits(server, **bounds), permit=only("127.0.0.1"))

    return get


def test_a_picture_is_fetched_by_name_and_nothing_is_said_of_who_asks(site: Any) -> None:
    server = site("127.0.0.1")
    url = f"http://pictures.example:{server.server_port}/picture/?a=1#part"
    found = guarded_fetch(
        url, limits(server), resolve=lambda host, port: ["127.0.0.1"], permit=only("127.0.0.1")
    )
    assert found == PICTURE
    ((path, headers),) = server.asked
    assert path == "/picture/?a=1"
    assert headers["Host"] == f"pictures.example:{server.server_port}"
    assert {name.lower() for name in headers} == {"host", "accept", "accept-encoding", "user-agent"}


def test_redirects_are_followed_to_where_it_is_permitted(site: Any, fetch: Any) -> None:
    assert fetch("/to//picture") == PICTURE


NAMES = ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "[::1]",
         "[::ffff:127.0.0.1]", "[::]"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_spelling_of_loopback_is_reached(site: Any, name: str) -> None:
    server = site("127.0.0.1")
    with pytest.raises((NotPublic, NotFetched)):
        guarded_fetch(f"http://{name}:{server.server_port}/picture", limits(server))
    assert server.asked == []


def test_a_redirect_to_a_private_address_is_not_followed(site: Any) -> None:
    outside, inside = site("127.0.0.1"), site("127.0.0.2")
    target = f"http://127.0.0.2:{inside.server_port}/picture"
    url = f"http://127.0.0.1:{outside.server_port}/to/{target}"
    with pytest.raises(NotPublic):
        guarded_fetch(url, limits(outside, inside), permit=only("127.0.0.1"))
    assert (len(outside.asked), inside.asked) == (1, [])


def test_a_name_that_means_something_else_the_second_time_is_asked_once(site: Any) -> None:
    outside = site("127.0.0.1")
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    url = f"http://rebound.example:{outside.server_port}/picture"
    found = guarded_fetch(
        url, limits(outside), resolve=lambda host, port: next(answers), permit=only("127.0.0.1")
    )
    assert found == PICTURE
    assert next(answers) == ["127.0.0.2"], "the name was resolved once"


def test_a_name_that_is_rebound_between_two_redirects_is_checked_again(site: Any) -> None:
    outside = site("127.0.0.1")
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    url = f"http://rebound.example:{outside.server_port}/to//picture"
    with pytest.raises(NotPublic):
        guarded_fetch(
            url, limits(outside), resolve=lambda host, port: next(answers), permit=only("127.0.0.1")
        )
    assert len(outside.asked) == 1


def test_one_private_address_among_a_names_refuses_the_name(site: Any) -> None:
    server = site("127.0.0.1")
    with pytest.raises(NotPublic):
        guarded_fetch(
            f"http://both.example:{server.server_port}/picture",
            limits(server),
            resolve=lambda host, port: ["127.0.0.1", "127.0.0.2"],
            permit=only("127.0.0.1"),
        )
    assert server.asked == []


def test_the_other_end_of_the_socket_is_checked_too(site: Any) -> None:
    server = site("127.0.0.1")
    permitted: list[str] = []

    def permit(address: str) -> bool:
        permitted.append(address)
        return len(permitted) == 1

    with pytest.raises(NotPublic):
        guarded_fetch(f"http://127.0.0.1:{server.server_port}/picture", limits(server), permit=permit)
    assert permitted == ["127.0.0.1"] * 2
    assert server.asked == []


def test_a_second_address_is_tried_where_the_first_does_not_answer(site: Any) -> None:
    server = site("127.0.0.1")

    def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.3", "127.0.0.1"]

    url = f"http://two.example:{server.server_port}/picture"
    assert guarded_fetch(url, limits(server), resolve=resolve, permit=lambda address: True) == PICTURE


@pytest.mark.parametrize(
    "path", ["/html", "/svg", "/zipped", "/gone", "/garbage", "/round", "/to/", "/to/file:///etc/passwd"]
)
def test_what_is_no_picture_is_refused(fetch: Any, path: str) -> None:
    with pytest.raises(NotFetched):
        fetch(path)


@pytest.mark.parametrize("path", ["/large", "/endless"])
def test_a_picture_that_is_too_large_is_given_up(fetch: Any, path: str) -> None:
    began = time.monotonic()
    with pytest.raises(NotFetched, match="MB"):
        fetch(path, size=1_000_000)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("path", ["/drip", "/drip-headers", "/silent"])
def test_a_picture_that_comes_too_slowly_is_given_up_in_time(fetch: Any, path: str) -> None:
    began = time.monotonic()
    with pytest.raises(NotFetched, match=r"0\.4 s"):
        fetch(path, seconds=0.4)
    assert time.monotonic() - began < 1.5


WRONG = [
    "",
    "picture.png",
    "file:///etc/passwd",
    "ftp://example.org/",
    "gopher://example.org/",
    "http://",
    "http://user:secret@example.org/",
    "http://example.org:22/",
    "https://example.org:8585/",
    "http://[",
    "javascript:1",
    "data:image/png;base64,AA",
    "http://exa\nmple.org/",
    "http://\x00/",
    "//example.org",
    "http://" + "a" * 70_000,
]


@pytest.mark.parametrize("url", WRONG, ids=range(len(WRONG)))
def test_what_is_no_url_of_a_picture_is_refused_before_anything_is_asked(url: str) -> None:
    def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError(host)

    with pytest.raises(NotFetched) as refused:
        guarded_fetch(url, FetchLimits(1000, 1), resolve=never)
    assert "\n" not in str(refused.value)


def test_a_name_without_an_address_is_refused() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(NotFetched):
        guarded_fetch("http://nowhere.example/", FetchLimits(1000, 1), resolve=unknown)


def test_a_certificate_must_be_known_and_made_for_the_name(
    site: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    authority = trustme.CA()
    server = site("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("pictures.example").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def get(name: str) -> bytes:
        url = f"https://{name}:{server.server_port}/picture"
        return guarded_fetch(
            url, limits(server), resolve=lambda host, port: ["127.0.0.1"], permit=only("127.0.0.1")
        )

    with pytest.raises(NotFetched):
        get("pictures.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert get("pictures.example") == PICTURE
    with pytest.raises(NotFetched):
        get("other.example")


def test_the_resolver_gives_addresses_that_can_be_checked() -> None:
    assert set(resolved("localhost", 80)) <= {"127.0.0.1", "::1"}


def test_urls_are_not_taken_unless_the_server_was_told_to() -> None:
    with pytest.raises(Unavailable, match="takes no URLs"):
        Fetcher(SecurityOptions())("http://example.org/a.png")
    with pytest.raises(NotPublic):
        Fetcher(SecurityOptions(fetch_urls=True))("http://127.0.0.1/a.png")


def test_the_urls_of_one_request_share_its_bytes_and_its_time(site: Any, monkeypatch: Any) -> None:
    server = site("127.0.0.1")
    given: list[FetchLimits] = []

    def allowing(url: str, bounds: FetchLimits) -> bytes:
        given.append(bounds)
        time.sleep(0.1)
        return guarded_fetch(url, limits(server, size=bounds.size), permit=only("127.0.0.1"))

    monkeypatch.setattr("latentry_api.security.fetching.guarded_fetch", allowing)
    fetch = Fetcher(SecurityOptions(fetch_urls=True, body_megabytes=0.0025, fetch_seconds=10))
    url = f"http://127.0.0.1:{server.server_port}/picture"
    assert fetch(url) == fetch(url) == PICTURE
    assert [bounds.size for bounds in given] == [2500, 2500 - len(PICTURE)]
    assert given[1].seconds <= given[0].seconds - 0.1
    with pytest.raises(NotFetched, match="MB"):
        fetch(url)
