"""Encrypt connections within the bounds of all others; asyncio alone would give each a minute, uncounted."""

import asyncio
from collections.abc import Callable
from ssl import SSLContext

from latentry_api.security.connections import Gate


class Handshake(asyncio.Protocol):
    """Does a connection's TLS handshake, then hands it on, encrypted, to the protocol that it makes."""

    transport: asyncio.Transport

    def __init__(
        self, inner: Callable[[], asyncio.Protocol], gate: Gate, context: SSLContext, seconds: float
    ) -> None:
        self._inner, self._gate, self._context, self._seconds = inner, gate, context, seconds
        self._early: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._gate.enter(self):
            self._task = asyncio.get_running_loop().create_task(self._encrypt())
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Keep what came right behind the handshake."""
        self._early.append(data)

    async def _encrypt(self) -> None:
        encrypted = await self._encrypted()
        self._gate.leave(self)
        if encrypted is not None and not encrypted.is_closing():
            self._hand_over(encrypted)

    async def _encrypted(self) -> asyncio.Transport | None:
        loop, seconds = asyncio.get_running_loop(), self._seconds
        try:
            return await loop.start_tls(
                self.transport, self, self._context, server_side=True, ssl_handshake_timeout=seconds
            )
        except OSError:  # no TLS, another version, too slow, or gone
            self.transport.abort()
            return None

    def _hand_over(self, encrypted: asyncio.Transport) -> None:
        inner = self._inner()
        encrypted.set_protocol(inner)
        inner.connection_made(encrypted)
        for data in self._early:
            inner.data_received(data)
