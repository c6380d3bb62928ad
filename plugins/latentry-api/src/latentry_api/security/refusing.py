"""Refuse a request before the application sees it, as a problem document (RFC 9457)."""

from collections.abc import Mapping
from typing import ClassVar

from latentry_api.errors import type_of
from latentry_api.security.asgi import Receive, Scope, Send
from latentry_sdk import UserError


class Refused(UserError):
    """A request that goes no further; `headers` are added to the answer."""

    status: ClassVar[int] = 403

    def __init__(
        self, message: str, *, fix: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, fix=fix)
        self.headers = dict(headers or {})


class AmbiguousRequest(Refused):
    """Two servers could read the request in two ways, RFC 9112 section 11.2."""

    status = 400


class UnknownHost(Refused):
    """The request is for a name that this server does not go by."""

    status = 421


class ForeignOrigin(Refused):
    """A web page from elsewhere wants something changed."""


class UnsupportedBody(Refused):
    """A body of a media type that is not taken."""

    status = 415


class NotAuthenticated(Refused):
    """No token, or one that is not known."""

    status = 401


class TooManyRequests(Refused):
    """The caller has used up a limit; the header Retry-After says when to come again."""

    status = 429


class BodyTooLarge(Refused):
    """More bytes than a request may send."""

    status = 413


class BodyTooSlow(Refused):
    """The body stood still for too long, or came too slowly."""

    status = 408


class BodyTooComplex(Refused):
    """JSON nested too deep, or a form of too many parts."""

    status = 400


class ServerBusy(Refused):
    """All callers together have sent as much as the server holds at one time."""

    status = 503


async def refuse(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the refusal; a WebSocket is refused at its handshake."""
    from latentry_api.problems import problem

    if scope["type"] == "websocket":
        await receive()  # the client's wish to connect
    answer = problem(refused.status, type_of(refused), refused.message, fix=refused.fix)
    answer.headers.update(refused.headers)
    await answer(scope, receive, send)
