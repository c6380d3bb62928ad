"""Run the server: open what it needs, say its URL, stop when asked to."""

import asyncio
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
from latentry_api.hub import Hub
from latentry_api.logs import log_to_stderr
from latentry_api.retelling import Retelling
from latentry_api.security import check_address, secured, uvicorn_settings
from latentry_api.service import JobService
from latentry_api.settings import ServeOptions
from latentry_sdk import Host, Unavailable
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import Queue, Timeouts

log = logging.getLogger(__name__)
PATIENCE = 60.0
"""Seconds after which the URL is told, even if no worker is there yet."""

GLANCE = 0.01
LAST_ANSWERS = 3
"""Seconds that open connections have when the server stops."""


def serve(host: Host, options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT; prints the URL on a line of stdout when it is ready."""
    check_address(options)
    with ExitStack() as closing:
        say = closing.enter_context(_one_line_of_stdout())
        log_to_stderr()
        listener = closing.enter_context(_listening(options))
        service = closing.enter_context(opened(host, options))
        asyncio.run(_served(service, options, listener, say))


@contextmanager
def opened(host: Host, options: ServeOptions) -> Iterator[JobService]:
    """The service over the chosen store and executor, taking jobs; both are closed after it."""
    data = options.data or host.config.data_dir
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = host.registry.stores.find(options.store)
    executor = host.registry.executors.find(options.executor)
    queue = store.open(data)
    if not isinstance(queue, Queue):
        raise Unavailable(f"the store {store.name!r} keeps no queue", fix="use the store sql")
    blobs, hub = Blobs(data / "blobs"), Hub()
    dispatcher = Dispatcher(host, queue, blobs, executor.open(host), hub)
    timeouts = Timeouts(options.queue_timeout, options.load_timeout, options.run_timeout)
    try:
        dispatcher.start()
        yield JobService(host, queue, blobs, hub, dispatcher, timeouts, options)
    finally:
        dispatcher.close()
        queue.close()


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
    os.write(say, f"{_url(options, listener)}\n".encode())
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


@contextmanager
def _listening(options: ServeOptions) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as exc:
        listener.close()
        where = f"{options.host}:{options.port}"
        raise Unavailable(
            f"{where} cannot be listened at: {exc.strerror or exc}", fix="use another --port"
        ) from exc
    with listener:
        yield listener


def _url(options: ServeOptions, listener: socket.socket) -> str:
    name = f"[{options.host}]" if ":" in options.host else options.host
    scheme = "https" if options.tls_certificate else "http"
    return f"{scheme}://{name}:{listener.getsockname()[1]}"


@contextmanager
def _one_line_of_stdout() -> Iterator[int]:
    """The descriptor of stdout, for the URL alone: what anyone else prints goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield kept
    finally:
        os.dup2(kept, 1)
        os.close(kept)
