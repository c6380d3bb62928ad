"""Limit how fast a client may talk on a WebSocket."""

import asyncio

from latentry_api.security.asgi import App, Message, Receive, Scope, Send
from latentry_api.security.bucket import Bucket
from latentry_api.security.options import SecurityOptions

POLICY = 1008
"""The close code for a broken rule, RFC 6455 section 7.4.1."""

SECONDS_SAVED = 5.0
"""So many seconds of silence may be made up for at once."""


class Messages:
    """Closes a WebSocket whose client sends more than its rate, by a leaky bucket."""

    def __init__(self, app: App, options: SecurityOptions) -> None:
        self._app, self._rate = app, options.websocket_messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the WebSocket on, with its messages counted."""
        if scope["type"] != "websocket":
            return await self._app(scope, receive, send)
        bucket = Bucket(self._rate, self._rate * SECONDS_SAVED, asyncio.get_running_loop().time)

        async def counted() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not bucket.take():
                await send({"type": "websocket.close", "code": POLICY, "reason": "too many messages"})
                return {"type": "websocket.disconnect", "code": POLICY}
            return message

        return await self._app(scope, counted, send)
