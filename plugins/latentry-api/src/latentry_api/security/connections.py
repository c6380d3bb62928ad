"""Bound how long a connection may keep the server waiting, and how many there are.

uvicorn waits for ever for headers, for clients that take nothing, and for the rest of a body that nobody
wants; and its own limit of connections counts idle ones, so that idle ones can use it up.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from latentry_api.security.options import SecurityOptions

Phase = Literal["headers", "answer", "rest", "closing"]
"""What a connection waits for: a request's headers, our answer, the rest of a body, its own end."""

REST_SECONDS = 2.0
"""How long a client that has its answer may go on with its body; closing at once could lose the answer."""


class Held(Protocol):
    """Whatever has a connection."""

    transport: asyncio.Transport


class Gate:
    """Holds connections up to a number; the one that has said nothing for the longest makes room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy: set[Held] = set()
        self._idle: dict[Held, None] = {}

    def enter(self, connection: Held) -> bool:
        """Whether there is room, or room was made."""
        if len(self._busy) + len(self._idle) >= self._most:
            if not self._idle:
                return False
            oldest = next(iter(self._idle))
            self.leave(oldest)
            oldest.transport.abort()
        self._idle[connection] = None
        return True

    def mark(self, connection: Held, *, idle: bool) -> None:
        """Say whether a connection that has entered waits for its client's next request."""
        self.leave(connection)
        if idle:
            self._idle[connection] = None
        else:
            self._busy.add(connection)

    def leave(self, connection: Held) -> None:
        """Forget a connection."""
        self._busy.discard(connection)
        self._idle.pop(connection, None)


class Stall:
    """The clock for a client that takes nothing of what is written to it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._transport: asyncio.Transport | None = None
        self._clock: asyncio.TimerHandle | None = None

    def watch(self, transport: asyncio.Transport) -> None:
        """Say whose client it is."""
        self._transport = transport

    def start(self) -> None:
        """From now on nothing is taken."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._clock = loop.call_later(self._seconds, self._transport.abort)

    def stop(self) -> None:
        """Something was taken, or nothing is waited for."""
        if self._clock:
            self._clock.cancel()


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a clock for each thing that a client can keep it waiting for."""

    transport: asyncio.Transport

    def __init__(self, *args: Any, gate: Gate, options: SecurityOptions, **named: Any) -> None:
        super().__init__(*args, **named)
        self._gate, self._stall = gate, Stall(options.write_seconds)
        self._patience: Mapping[Phase, float] = {
            "headers": options.header_seconds,
            "rest": REST_SECONDS,
            "closing": options.write_seconds,
        }
        self._phase: Phase | None = None
        self._released = False
        self._clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first headers, if there is room."""
        super().connection_made(transport)
        self._stall.watch(transport)
        if self._gate.enter(self):
            self._watch()
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take in what came, and see what it is that is waited for now."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """See what is waited for after an answer."""
        super().on_response_complete()
        self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """From here on the WebSocket's own pings watch over the connection."""
        self._release()
        super().handle_websocket_upgrade(event)

    def pause_writing(self) -> None:
        """Start the clock for a client that takes nothing."""
        super().pause_writing()
        self._stall.start()

    def resume_writing(self) -> None:
        """Stop it."""
        super().resume_writing()
        self._stall.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        super().connection_lost(exc)
        self._release()

    def _watch(self) -> None:
        """Set the clock anew when something else is waited for."""
        phase = self._now()
        if self._released or phase == self._phase:
            return
        self._stop_clock()
        self._phase = phase
        self._gate.mark(self, idle=phase == "headers")
        if seconds := self._patience.get(phase):
            end = self.transport.abort if phase == "closing" else self._close
            self._clock = self.loop.call_later(seconds, end)

    def _now(self) -> Phase:
        if self.transport.is_closing():
            return "closing"
        if self.conn.their_state is h11.IDLE:
            return "headers"
        answered = self.cycle is not None and self.cycle.response_complete
        return "rest" if answered and self.conn.their_state is h11.SEND_BODY else "answer"

    def _close(self) -> None:
        self.transport.close()
        self._watch()

    def _stop_clock(self) -> None:
        if self._clock:
            self._clock.cancel()

    def _release(self) -> None:
        """Forget this connection: another protocol has it, or nobody."""
        self._stop_clock()
        self._stall.stop()
        self._gate.leave(self)
        self._released = True
