"""Connect to public addresses only, by the address itself, and within one time for all."""

import time
from collections.abc import Callable, Iterable, Sequence
from ssl import SSLContext
from typing import Any

from httpcore2 import ConnectError, ConnectTimeout, NetworkBackend, NetworkStream, ReadTimeout, SyncBackend

from latentry_sdk import InvalidInput

Resolve = Callable[[str, int], Sequence[str]]
Permit = Callable[[str], bool]


class NotPublic(InvalidInput):
    """The URL leads to an address that is not public."""

    def __init__(self) -> None:
        super().__init__("this URL leads to no public address", fix="send the picture itself")


class PublicOnly(NetworkBackend):
    """Resolves a name once, and connects to what was checked.

    A name that means something else a moment later is not asked again, and the socket's own word for its
    other end is checked too.
    """

    def __init__(self, resolve: Resolve, permit: Permit, until: float) -> None:
        self._resolve, self._permit, self._until = resolve, permit, until
        self._plain = SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,
    ) -> NetworkStream:
        """A connection to the first address that answers; `NotPublic` if one of them may not be asked."""
        addresses = self._addresses(host, port)
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, socket_options)
            except (ConnectError, ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, socket_options)

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as exc:
            raise ConnectError("the name has no address") from exc
        if not addresses or not all(map(self._permit, addresses)):
            raise NotPublic
        return addresses

    def _connect(self, address: str, port: int, socket_options: Iterable[Any] | None) -> NetworkStream:
        left = seconds_left(self._until)
        stream = self._plain.connect_tcp(address, port, left, socket_options=socket_options)
        if not self._permit(str(stream.get_extra_info("server_addr")[0])):
            stream.close()
            raise NotPublic
        return InTime(stream, self._until)


class InTime(NetworkStream):
    """A stream whose reads and writes all end by one moment, whatever each may take: so a slow drip does."""

    def __init__(self, stream: NetworkStream, until: float) -> None:
        self._stream, self._until = stream, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Some bytes."""
        return self._stream.read(max_bytes, seconds_left(self._until))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send bytes."""
        self._stream.write(buffer, seconds_left(self._until))

    def close(self) -> None:
        """End the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> NetworkStream:
        """The same stream, encrypted, with the certificate checked for the URL's name."""
        stream = self._stream.start_tls(ssl_context, server_hostname, seconds_left(self._until))
        return InTime(stream, self._until)

    def get_extra_info(self, info: str) -> Any:
        """What the stream beneath says of itself."""
        return self._stream.get_extra_info(info)


def seconds_left(until: float) -> float:
    """Seconds until a moment of the monotonic clock; `ReadTimeout` once it has passed."""
    left = until - time.monotonic()
    if left <= 0:
        raise ReadTimeout("the time is over")
    return left
