"""Look at a request's headers before anything else does: cheap rules in one place, each a function."""

import re
from collections.abc import Callable, Sequence

from latentry_api.security.asgi import SAFE_METHODS, App, Receive, Scope, Send, has_body, header, is_request
from latentry_api.security.options import LOOPBACK_NAMES, SecurityOptions, is_address
from latentry_api.security.refusing import (
    AmbiguousRequest,
    BodyTooLarge,
    ForeignOrigin,
    Refused,
    UnknownHost,
    UnsupportedBody,
    refuse,
)

Rule = Callable[[Scope], None]
"""Raises `Refused` for a request that goes no further."""

HOST = re.compile(r"(?:\[(?P<literal>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]/@\s]+))(?::\d{1,5})?")
EVERYWHERE = ("0.0.0.0", "::")
BODIES = re.compile(
    r"application/(?:[\w.-]+\+)?json|multipart/form-data|application/octet-stream|image/[\w.+-]+"
)


class Door:
    """Applies rules in their order."""

    def __init__(self, app: App, rules: Sequence[Rule]) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request by the first rule that it breaks, or hand it on."""
        if is_request(scope):
            try:
                for rule in self._rules:
                    rule(scope)
            except Refused as exc:
                return await refuse(exc, scope, receive, send)
        return await self._app(scope, receive, send)


def one_meaning(scope: Scope) -> None:
    """Refuse what a proxy in front might read as two requests, or as one for another server."""
    names = [name for name, _ in scope["headers"]]
    if b"transfer-encoding" in names and b"content-length" in names:
        _ambiguous("it has both Content-Length and Transfer-Encoding")
    if names.count(b"host") != 1:
        _ambiguous("it needs one Host header")
    if not scope["path"].startswith("/"):
        _ambiguous("its target is no path")


def _ambiguous(why: str) -> None:
    raise AmbiguousRequest(f"this request can be read in two ways: {why}", headers={"connection": "close"})


def known_host(options: SecurityOptions) -> Rule:
    """A rule against DNS rebinding: only names that the server goes by.

    Where it listens at every address, each address as such is taken too: a page can rebind a name of its
    own, but not a number.
    """
    names = {*LOOPBACK_NAMES, *options.allowed_hosts, options.host.strip("[]").lower()} - {*EVERYWHERE}

    def rule(scope: Scope) -> None:
        found = HOST.fullmatch(header(scope, b"host") or "")
        name = (found["literal"] or found["name"]).lower().removesuffix(".") if found else ""
        if name not in names and not (options.host in EVERYWHERE and is_address(name)):
            raise UnknownHost(
                "this server does not go by that name", fix="pass --allowed-hosts NAME to allow it"
            )

    return rule


def known_origin(options: SecurityOptions) -> Rule:
    """A rule against foreign web pages, which browsers name: they may neither change nor open anything.

    A request without an Origin comes from no page of another site.
    """
    allowed = frozenset(options.allowed_origins)

    def rule(scope: Scope) -> None:
        origin = header(scope, b"origin")
        harmless = scope["type"] == "http" and scope["method"] in SAFE_METHODS
        if origin is None or harmless or origin.lower() in allowed or _is_own(origin, scope):
            return
        raise ForeignOrigin(
            "pages from other sites may not do this", fix="pass --allowed-origins ORIGIN to allow one"
        )

    return rule


def _is_own(origin: str, scope: Scope) -> bool:
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    return origin.lower() == f"{scheme}://{header(scope, b'host')}".lower()


def known_body(scope: Scope) -> None:
    """Refuse media types that nothing here reads: among them those that a page's plain form can send."""
    if scope["type"] != "http" or not has_body(scope):
        return
    media_type = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if not BODIES.fullmatch(media_type):
        raise UnsupportedBody("a body of this media type is not taken", fix="send application/json")
    if (header(scope, b"content-encoding") or "identity").lower() != "identity":
        raise UnsupportedBody("a compressed body is not taken", fix="send it without Content-Encoding")


def announced_size(options: SecurityOptions) -> Rule:
    """A rule against bodies whose own headers say that they are too large: not a byte of them is read."""
    most = int(options.body_megabytes * 1_000_000)

    def rule(scope: Scope) -> None:
        if int(header(scope, b"content-length") or 0) > most:
            raise too_large(options)

    return rule


def too_large(options: SecurityOptions) -> BodyTooLarge:
    """The refusal of a body over the limit."""
    return BodyTooLarge(f"a request may send {options.body_megabytes:g} MB at the most")
