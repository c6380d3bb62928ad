"""Bound what a WebSocket's client may send, pings included, and how long it may take nothing."""

import asyncio
from asyncio.transports import BaseTransport
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from latentry_api.security.bucket import Bucket
from latentry_api.security.connections import Stall

BYTES_A_SECOND, BYTES_AT_ONCE = 16_384, 262_144
"""Clients say which job they watch, and answer pings."""


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket; it answers pings without waiting for its client to take the answers."""

    def __init__(self, *args: Any, write_seconds: float, **named: Any) -> None:
        super().__init__(*args, **named)
        self._stall = Stall(write_seconds)
        self._bucket = Bucket(BYTES_A_SECOND, BYTES_AT_ONCE, asyncio.get_running_loop().time)

    def connection_made(self, transport: BaseTransport) -> None:
        """Take over from HTTP; a client that took nothing until now has its time from here."""
        super().connection_made(transport)
        self._stall.watch(self.transport)

    def data_received(self, data: bytes) -> None:
        """Take in what came, or end the connection of a client that sends too much."""
        if self._bucket.take(len(data)):
            super().data_received(data)
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Start the clock for a client that takes nothing, and hear nothing from it meanwhile."""
        super().pause_writing()
        self._stall.start()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Stop it."""
        super().resume_writing()
        self._stall.stop()
        if not self.read_paused:
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        self._stall.stop()
