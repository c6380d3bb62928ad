"""Where the server listens, and the one line that says so."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from latentry_api.settings import ServeOptions
from latentry_sdk import Unavailable


@contextmanager
def listening(options: ServeOptions) -> Iterator[socket.socket]:
    """A socket that is bound to the address; `Unavailable` where that is taken.

    It says that it speaks TCP: only then does asyncio send small answers without waiting for more.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except OSError as exc:
            where, reason = f"{options.host}:{options.port}", exc.strerror or exc
            message = f"{where} cannot be listened at: {reason}"
            raise Unavailable(message, fix="use another --port") from exc
        yield listener


def url_of(options: ServeOptions, listener: socket.socket) -> str:
    """The server's address as clients write it."""
    name = f"[{options.host}]" if ":" in options.host else options.host
    scheme = "https" if options.tls_certificate else "http"
    return f"{scheme}://{name}:{listener.getsockname()[1]}"


@contextmanager
def stdout_for_the_url() -> Iterator[int]:
    """The descriptor of stdout, for one line alone: what anyone else prints goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield kept
    finally:
        os.dup2(kept, 1)
        os.close(kept)
