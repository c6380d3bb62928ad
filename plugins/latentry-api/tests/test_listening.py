"""Where the server listens: small answers go out at once, and the URL is one that clients can use."""

import asyncio
import socket

import pytest

from latentry_api.listening import listening, url_of
from latentry_api.settings import ServeOptions
from latentry_sdk import Unavailable


async def sent_at_once(listener: socket.socket) -> bool:
    """Whether the server's end of a connection sends small packets without waiting."""
    found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = writer.get_extra_info("socket")
        found.set_result(bool(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        writer.close()

    async with await asyncio.start_server(look, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        writer.close()
        return await found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_do_not_wait_for_more(host: str) -> None:
    with listening(ServeOptions(host=host, port=0)) as listener:
        assert asyncio.run(sent_at_once(listener))


def test_the_url_is_written_as_clients_read_it() -> None:
    with listening(ServeOptions(port=0)) as listener:
        port = listener.getsockname()[1]
        assert url_of(ServeOptions(port=0), listener) == f"http://127.0.0.1:{port}"
        assert url_of(ServeOptions(host="::1", port=0), listener) == f"http://[::1]:{port}"


@pytest.mark.parametrize("host", ["198.51.100.7", "no-such-host.invalid"])
def test_an_address_that_is_not_here_is_said_so(host: str) -> None:
    with (
        pytest.raises(Unavailable, match=rf"{host}:8585 cannot be listened at"),
        listening(ServeOptions(host=host)),
    ):
        pass
