"""Log each request: who, what, which job, how it ended; no prompts unless asked for."""

import logging
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from latentry_api.security.asgi import App, Message, Receive, Scope, Send, address, is_request
from latentry_api.security.options import SecurityOptions

log = logging.getLogger("latentry.audit")
NOTES: ContextVar[dict[str, list[str]]] = ContextVar("latentry.audit")
"""What is known of the request that is under way; threads that work for it see it too."""


class Audit:
    """Logs every request to `latentry.audit` when it has ended, refused ones too.

    A record's field `audit` holds the facts, which a formatter of JSON writes.
    """

    def __init__(self, app: App, options: SecurityOptions) -> None:
        self._app, self._with_prompts = app, options.log_prompts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and write its line."""
        if not is_request(scope):
            return await self._app(scope, receive, send)
        notes: dict[str, list[str]] = {}
        NOTES.set(notes)
        counted = _Counted(receive, send)
        began = time.perf_counter()
        try:
            return await self._app(scope, counted.receive, counted.send)
        finally:
            if not self._with_prompts:
                notes.pop("prompts", None)
            seconds = round(time.perf_counter() - began, 6)
            facts = {**_line(scope), **counted.facts(), "seconds": seconds, **notes}
            log.info("%(method)s %(path)s %(status)s", facts, extra={"audit": facts})


def note(**facts: str) -> None:
    """Add facts to the request's record: one of its `jobs`, or of its `prompts`, kept only if asked for."""
    notes = NOTES.get({})  # outside of a request they are nobody's
    for name, fact in facts.items():
        notes.setdefault(name, []).append(fact)


def _line(scope: Scope) -> Mapping[str, Any]:
    caller = scope.get("latentry.caller")
    return {
        "who": caller.name if caller else None,
        "address": address(scope),
        "method": scope.get("method", "WEBSOCKET"),
        "path": scope["path"][:200],
    }


class _Counted:
    """Counts the bytes of both ways and keeps the status."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._taken = self._given = 0
        self._status: int | None = None

    async def receive(self) -> Message:
        """A message of the client."""
        message = await self._receive()
        self._taken += _size(message)
        return message

    async def send(self, message: Message) -> None:
        """A message to the client."""
        self._given += _size(message)
        if message["type"] == "websocket.accept":
            self._status = 101
        elif message["type"] == "websocket.close" and self._status is None:
            self._status = 403
        self._status = message.get("status", self._status)
        await self._send(message)

    def facts(self) -> Mapping[str, Any]:
        """What was counted; no status where nothing was answered."""
        return {"status": self._status, "bytes_in": self._taken, "bytes_out": self._given}


def _size(message: Message) -> int:
    return len(message.get("body") or b"") + len(message.get("bytes") or b"") + len(message.get("text") or "")
