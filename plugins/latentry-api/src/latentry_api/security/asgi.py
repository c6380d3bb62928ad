"""The few ASGI words that the layers share."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from latentry_api.security.options import is_address

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, RFC 9110 section 9.2.1."""


def is_request(scope: Scope) -> bool:
    """Whether somebody asks for something; the other kind of scope is the server's own start and stop."""
    return scope["type"] in ("http", "websocket")


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a name in small letters."""
    found = (value for key, value in scope["headers"] if key == name)
    return next((value.decode("latin-1") for value in found), None)


def has_body(scope: Scope) -> bool:
    """Whether the request's headers announce a body."""
    return header(scope, b"transfer-encoding") is not None or header(scope, b"content-length") not in (
        None,
        "0",
    )


def address(scope: Scope) -> str:
    """The caller's address; of IPv6 the network of 64 bits, which one machine has as a whole."""
    return _network((scope.get("client") or ("",))[0])


@lru_cache(maxsize=4096)  # parsing one takes as long as all other rules together
def _network(host: str) -> str:
    if not is_address(host):
        return host
    found = ip_address(host)
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
    return str(found)
