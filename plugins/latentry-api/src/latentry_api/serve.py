"""Run the server: open what it needs, say its URL, stop when asked to."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

import uvicorn

from latentry_api.app import create_app
from latentry_api.dispatch import Dispatcher
from latentry_api.listening import listening, stdout_for_the_url, url_of
from latentry_api.logs import log_to_stderr
from latentry_api.opening import opened
from latentry_api.retelling import Retelling
from latentry_api.security.serving import check_options, uvicorn_settings
from latentry_api.security.stack import secured
from latentry_api.service import JobService
from latentry_api.settings import ServeOptions
from latentry_sdk import Host

log = logging.getLogger(__name__)
PATIENCE = 60.0
"""Seconds after which the URL is told, even if no worker is there yet."""

GLANCE = 0.01
TURN_SECONDS = 0.001
"""How long a thread may compute while another waits to: a worker's next job waits for none for long."""

LAST_ANSWERS = 3
"""Seconds that open connections have when the server stops."""


def serve(host: Host, options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT; prints the URL on a line of stdout when it is ready."""
    check_options(options)
    sys.setswitchinterval(TURN_SECONDS)
    with ExitStack() as closing:
        say = closing.enter_context(stdout_for_the_url())
        log_to_stderr()
        listener = closing.enter_context(listening(options))
        service = closing.enter_context(opened(host, options))
        asyncio.run(_served(service, options, listener, say))


async def _served(service: JobService, options: ServeOptions, listener: socket.socket, say: int) -> None:
    app = secured(create_app(service), options)
    config = uvicorn.Config(
        Retelling(app, service.host.registry.surfaces.values()),
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=LAST_ANSWERS,
        **uvicorn_settings(options),
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(_asked_to_stop(service.dispatcher))
    began = monotonic()
    while not (server.started and service.dispatcher.ready()) and monotonic() - began < PATIENCE:
        done, _ = await asyncio.wait([serving, stopping], timeout=GLANCE, return_when=asyncio.FIRST_COMPLETED)
        if done:
            break
    gc.freeze()  # what is there now stays: looking through it for garbage would hold up everybody for 80 ms
    os.write(say, f"{url_of(options, listener)}\n".encode())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping: running jobs have %g s", options.drain_seconds)
    await asyncio.to_thread(service.dispatcher.drain, options.drain_seconds)
    server.should_exit = True
    await serving


async def _asked_to_stop(dispatcher: Dispatcher) -> None:
    """Return at the first SIGTERM or SIGINT; the second one gives running jobs no more time."""
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            dispatcher.drain(0)
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, asked)
    await stop.wait()


class Server(uvicorn.Server):
    """A server that leaves signals to its caller."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
