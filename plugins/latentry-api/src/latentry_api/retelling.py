"""Have each surface tell its own clients what the server refuses, in the words that they know."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from latentry_api.problems import MEDIA_TYPE
from latentry_api.security.asgi import App, Message, Receive, Scope, Send
from latentry_sdk.service import MountedSurface

Retell = Callable[[Mapping[str, Any]], Mapping[str, Any]]
PROBLEM = (b"content-type", MEDIA_TYPE.encode())


class Retelling:
    """Replaces the body of every problem below a surface's prefixes by what the surface makes of it."""

    def __init__(self, app: App, surfaces: Iterable[object]) -> None:
        self._app = app
        mounted = [surface for surface in surfaces if isinstance(surface, MountedSurface)]
        self._prefixes = {f"{prefix}/": one.refusal for one in mounted for prefix in one.prefixes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        path = scope.get("path", "")
        retell = next((tell for prefix, tell in self._prefixes.items() if path.startswith(prefix)), None)
        if scope["type"] != "http" or retell is None:
            return await self._app(scope, receive, send)
        return await self._app(scope, receive, _Retold(send, retell).send)


class _Retold:
    """Passes an answer on, but a problem only when it is whole."""

    def __init__(self, send: Send, retell: Retell) -> None:
        self._send, self._retell = send, retell
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """The next message of the answer."""
        if message["type"] == "http.response.start" and PROBLEM in message["headers"]:
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._tell(self._start)

    async def _tell(self, start: Message) -> None:
        body = json.dumps(self._retell(json.loads(self._body))).encode()
        new = {b"content-type": b"application/json", b"content-length": str(len(body)).encode()}
        kept = [(name, value) for name, value in start["headers"] if name not in new]
        await self._send({**start, "headers": [*kept, *new.items()]})
        await self._send({"type": "http.response.body", "body": body})
