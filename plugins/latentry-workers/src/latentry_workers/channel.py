"""Whole messages over a socket: each a map in msgpack, in a frame that begins with its length."""

import socket
import struct
import threading
from collections.abc import Mapping
from typing import Any

import msgpack

from latentry_sdk import LatentryError

LARGEST = 1 << 30
"""Bytes of the largest frame."""

LENGTH = struct.Struct(">I")
PART = 1 << 20
AT_ONCE = 1 << 12
"""Bytes that go in one call, with the length before them: of most messages, all."""

Message = Mapping[str, Any]
"""What is sent: `kind` says what it means; values are what JSON has, and bytes."""


class ChannelLost(LatentryError):
    """The other side is gone, silent, or sends what is no message: nothing more can be said."""


class ChannelClosed(ChannelLost):
    """The other side has closed its end, or the process is gone."""


class Unsendable(LatentryError):
    """The message cannot be sent: it is larger than a frame may be, or holds what is no plain value."""


class Channel:
    """One end of a socket that carries messages; sending is safe from several threads, receiving from one.

    The other side may take for ever, until `expect` says otherwise.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._silence: float | None = None
        self._sending = threading.Lock()
        self._arrived = bytearray()

    def expect(self, seconds: float) -> None:
        """Take the other side for lost when its next bytes take longer, here or there."""
        self._silence = seconds
        self._socket.settimeout(seconds)

    def send(self, kind: str, **values: Any) -> None:
        """Send one message whole; raises `Unsendable` before the first byte, `ChannelLost` after."""
        frame = packed({"kind": kind, **values})
        try:
            with self._sending:
                self._socket.sendall(LENGTH.pack(len(frame)) + frame[:AT_ONCE])
                if rest := memoryview(frame)[AT_ONCE:]:
                    self._socket.sendall(rest)
        except TimeoutError as exc:
            raise ChannelLost(self._silent()) from exc
        except OSError as exc:
            raise ChannelClosed("closed its channel") from exc

    def receive(self) -> Message:
        """The next message; raises `ChannelLost`."""
        (length,) = LENGTH.unpack(self._bytes(LENGTH.size))
        if length > LARGEST:
            raise ChannelLost(f"announced a message of {length} bytes")
        return unpacked(self._bytes(length))

    def close(self) -> None:
        """Let go of this end; the other side sees it as an end."""
        self._socket.close()

    def _bytes(self, count: int) -> bytearray:
        """So many bytes; memory grows with what arrives, not with what is announced."""
        while (wanted := count - len(self._arrived)) > 0:
            try:
                part = self._socket.recv(min(max(wanted, AT_ONCE), PART))
            except TimeoutError as exc:
                raise ChannelLost(self._silent()) from exc
            except OSError as exc:
                raise ChannelClosed("closed its channel") from exc
            if not part:
                raise ChannelClosed("closed its channel")
            self._arrived += part
        data, self._arrived = self._arrived, self._arrived[count:]
        del data[count:]
        return data

    def _silent(self) -> str:
        return f"did not answer for {self._silence:g} s"


def packed(message: Message) -> bytes:
    """The message's bytes; `Unsendable` for what cannot be sent."""
    try:
        frame: bytes = msgpack.packb(message, unicode_errors="surrogatepass")
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise Unsendable(f"a message holds what cannot be sent: {exc}") from exc
    if len(frame) > LARGEST:
        raise Unsendable(f"a message of {len(frame)} bytes is larger than {LARGEST >> 20} MiB")
    return frame


def unpacked(frame: bytes | bytearray) -> Message:
    """The message of a frame; `ChannelLost` for what is none."""
    try:
        message = msgpack.unpackb(frame, strict_map_key=False, unicode_errors="surrogatepass")
    except Exception as exc:  # the unpacker has errors of several kinds for bytes that are no msgpack
        raise ChannelLost("sent what is no message") from exc
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise ChannelLost("sent what is no message")
    return message
