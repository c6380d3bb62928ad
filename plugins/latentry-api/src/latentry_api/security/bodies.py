"""Read bodies within a budget of bytes, time and shape, so that no client takes all memory."""

import asyncio
from dataclasses import dataclass

from latentry_api.security.asgi import App, Message, Receive, Scope, Send
from latentry_api.security.door import too_large
from latentry_api.security.options import SecurityOptions
from latentry_api.security.refusing import BodyTooSlow, Refused, ServerBusy, refuse
from latentry_api.security.shapes import Shape, shape

SMALL = 65_536
"""Bytes that are always taken, so that those who send pictures do not shut out those who send words."""

NOT_READ: Message = {"type": "http.disconnect"}


class Bodies:
    """Counts bodies while they are read, each for itself and all together."""

    def __init__(self, app: App, options: SecurityOptions) -> None:
        self._app, self._options = app, options
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, with its body watched."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            watched = shape(scope, self._options)
        except Refused as exc:
            return await refuse(exc, scope, receive, send)
        return await self._watched(_Reading(self, scope, receive, send, watched))

    async def _watched(self, reading: "_Reading") -> None:
        try:
            await self._app(reading.scope, reading.receive, reading.send)
        except Exception:
            if not reading.refused:  # else it is the application's way to say that its client has gone
                raise
        finally:
            self._held -= reading.size

    def take(self, reading: "_Reading", data: bytes) -> None:
        """Count a piece of a body; raises `Refused` over any limit."""
        reading.size += len(data)
        self._held += len(data)
        if reading.size > self._options.body_megabytes * 1_000_000:
            raise too_large(self._options)
        if reading.size > SMALL and self._held > self._options.bodies_megabytes * 1_000_000:
            raise ServerBusy("the server reads as much as it can hold", headers={"retry-after": "1"})
        reading.watched.feed(data)

    def seconds(self, reading: "_Reading") -> float:
        """How long after its start a body of this size must go on."""
        return self._options.body_seconds + reading.size / self._options.body_rate


@dataclass
class _Reading:
    """One request's body: once it is refused, the client has its answer and the app nobody to talk to."""

    bodies: Bodies
    scope: Scope
    from_client: Receive
    to_client: Send
    watched: Shape
    size: int = 0
    began: float | None = None
    whole: bool = False
    started: bool = False
    refused: bool = False

    async def receive(self) -> Message:
        """The next piece, or that the client has gone."""
        if self.refused:
            return NOT_READ
        if self.whole:
            return await self.from_client()
        try:
            return await self._next()
        except Refused as exc:
            self.refused = True
            if not self.started:
                await refuse(exc, self.scope, self.from_client, self.to_client)
            return NOT_READ

    async def send(self, message: Message) -> None:
        """Pass on what the application answers, unless the client has its answer."""
        if not self.refused:
            self.started = True
            await self.to_client(message)

    async def _next(self) -> Message:
        loop = asyncio.get_running_loop()
        self.began = loop.time() if self.began is None else self.began
        try:
            async with asyncio.timeout_at(self.began + self.bodies.seconds(self)):
                message = await self.from_client()
        except TimeoutError as exc:
            raise BodyTooSlow("the body came too slowly", headers={"connection": "close"}) from exc
        if message["type"] == "http.request":
            self.bodies.take(self, message.get("body", b""))
            self.whole = not message.get("more_body", False)
        return message
