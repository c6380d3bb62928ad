"""Take a picture by URL, from the public internet only, within bounds of bytes and time."""

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentry_api.security.addresses import is_public, resolved
from latentry_api.security.options import SecurityOptions
from latentry_sdk import InvalidInput, Unavailable

if TYPE_CHECKING:
    from httpcore2 import ConnectionPool, Response
    from httpx2 import URL

    from latentry_api.security.connecting import Permit, Resolve

HOST = re.compile(rb"[a-z0-9._:-]+")
REDIRECTS = (301, 302, 303, 307, 308)
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
USUAL_PORTS = {"http": 80, "https": 443}
HEADERS = (
    ("accept", ", ".join(sorted(PICTURES))),
    ("accept-encoding", "identity"),
    ("user-agent", "latentry"),
)


class NotFetched(InvalidInput):
    """The URL gave no picture within the limits."""


@dataclass(frozen=True)
class FetchLimits:
    """Bytes, and seconds for all of it; the ports that may be asked, and how often the URL may move."""

    size: int
    seconds: float
    redirects: int = 3
    ports: frozenset[int] = frozenset(USUAL_PORTS.values())


class Fetcher:
    """Turns the URLs of one request into bytes; they share its bytes and its time."""

    def __init__(self, options: SecurityOptions) -> None:
        self._allowed = options.fetch_urls
        self._bytes = int(options.body_megabytes * 1_000_000)
        self._until = time.monotonic() + options.fetch_seconds

    def __call__(self, url: str) -> bytes:
        """The bytes of a picture; `Unavailable` unless the server was told to fetch."""
        if not self._allowed:
            raise Unavailable("this server takes no URLs", fix="send the picture itself")
        data = guarded_fetch(url, FetchLimits(self._bytes, max(0.0, self._until - time.monotonic())))
        self._bytes -= len(data)
        return data


def guarded_fetch(
    url: str, limits: FetchLimits, *, resolve: "Resolve" = resolved, permit: "Permit" = is_public
) -> bytes:
    """The bytes of the picture at a URL; `NotFetched`, or `NotPublic` where it leads to a private address.

    Each redirect is checked as the first URL is. Nothing is sent that says who asks.
    """
    import httpcore2

    from latentry_api.security.connecting import PublicOnly

    until = time.monotonic() + limits.seconds
    backend = PublicOnly(resolve, permit, until)
    try:
        with httpcore2.ConnectionPool(network_backend=backend, max_keepalive_connections=0) as pool:
            return _followed(pool, _checked(url, limits), limits)
    except (httpcore2.TimeoutException, TimeoutError) as exc:
        raise NotFetched(f"this URL gave no picture in {limits.seconds:.1f} s") from exc
    except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as exc:
        raise NotFetched("this URL cannot be fetched") from exc


def _followed(pool: "ConnectionPool", url: "URL", limits: FetchLimits) -> bytes:
    import httpcore2

    for _ in range(limits.redirects + 1):
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        with pool.stream("GET", target, headers=HEADERS) as answer:
            if answer.status not in REDIRECTS:
                return _picture(answer, limits)
            url = _checked(str(url.join(_header(answer, b"location"))), limits)
    raise NotFetched(f"this URL moves on more than {limits.redirects} times")


def _checked(text: str, limits: FetchLimits) -> "URL":
    """The URL, if it is one that may be asked; whether its address may be is seen when it is known."""
    import httpx2

    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError) as exc:
        raise NotFetched("this is no URL") from exc
    if url.scheme not in USUAL_PORTS or not HOST.fullmatch(url.raw_host) or url.userinfo:
        raise NotFetched("a URL of http or https without a password is wanted")
    if (url.port or USUAL_PORTS[url.scheme]) not in limits.ports:
        raise NotFetched(f"a URL may name the ports {', '.join(map(str, sorted(limits.ports)))}")
    return url


def _picture(answer: "Response", limits: FetchLimits) -> bytes:
    media_type = _header(answer, b"content-type").partition(";")[0].strip().lower()
    if answer.status != 200 or media_type not in PICTURES or _header(answer, b"content-encoding"):
        raise NotFetched("this URL gives no PNG, JPEG, WebP, GIF or AVIF picture")
    data = bytearray()
    for piece in answer.iter_stream():
        data += piece
        if len(data) > limits.size:
            raise NotFetched(f"the picture at this URL has more than {limits.size / 1e6:.1f} MB")
    return bytes(data)


def _header(answer: "Response", name: bytes) -> str:
    found = (value for key, value in answer.headers if key.lower() == name)
    return next((value.decode("latin-1") for value in found), "")
