"""Open what a server needs, and close all of it again."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from latentry_api.dispatch import Dispatcher
from latentry_api.hub import Hub
from latentry_api.service import JobService
from latentry_api.settings import ServeOptions
from latentry_sdk import Host, Unavailable, UnknownName
from latentry_sdk.blobs import Blobs
from latentry_sdk.queue import Queue, Timeouts

GIVEN_BY = {"sql": "latentry-store-sql", "workers": "latentry-workers"}
"""The packages of what is used unless another is asked for."""


@contextmanager
def opened(host: Host, options: ServeOptions) -> Iterator[JobService]:
    """The service over the chosen store and executor, taking jobs; both are closed after it."""
    store = _found(host.registry.stores, options.store)
    executor = _found(host.registry.executors, options.executor)
    data = _made(options.data or host.config.data_dir)
    with ExitStack() as closing:
        queue = store.open(data)
        if not isinstance(queue, Queue):
            raise Unavailable(f"the store {store.name!r} keeps no queue", fix="use the store sql")
        closing.callback(queue.close)
        blobs, hub = Blobs(data / "blobs"), Hub()
        dispatcher = Dispatcher(host, queue, blobs, executor.open(host), hub, options.keep_days)
        closing.callback(dispatcher.close)
        dispatcher.start()
        timeouts = Timeouts(options.queue_timeout, options.load_timeout, options.run_timeout)
        yield JobService(host, queue, blobs, hub, dispatcher, timeouts, options)


def _found(table: Any, name: str) -> Any:
    try:
        return table.find(name)
    except UnknownName as exc:
        package = GIVEN_BY.get(name)
        raise Unavailable(exc.message, fix=f"pip install {package}" if package else None) from exc


def _made(folder: Path) -> Path:
    """The folder, which only its owner can look into if it is made here."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise Unavailable(f"the data folder {folder} cannot be made: {exc.strerror or exc}") from exc
    return folder
