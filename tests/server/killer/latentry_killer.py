"""A plugin for tests: ends its host or its worker by SIGKILL at a point that a file names, once.

The file, named by `LATENTRY_TEST_KILL`, holds a point and a target: `finish-commit both`. It is removed
just before the kill, so whoever comes after goes on. Points are calls of the queue (`submit-before`,
`-commit`, `-after`), files of blobs (`blob-linking`, `blob-linked`), events that the host sees (`step-seen`,
`image-seen`), and stages of the worker (`sample-before`, `-step`, `-after`).
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from latentry_sdk import DENOISE, JOB, Event, ImageReady, StageSpec, State, Stepped, StoreSpec, hookimpl
from latentry_sdk.queue import Queue

ORDER = "LATENTRY_TEST_KILL"
STEP = 3
IN_WORKER = "latentry_workers.worker" in sys.orig_argv
METHODS = [name for name in vars(Queue) if not name.startswith("_")]
doing = threading.local()


def reach(point: str) -> None:
    """Carry out the order, if it is for this point."""
    order = Path(os.environ[ORDER])
    with suppress(FileNotFoundError):
        wanted, target = order.read_text(encoding="utf-8").split()
        if wanted == point:
            order.unlink()  # only one thread can
            kill(target)


def kill(target: str) -> None:
    """End the "host", its "worker"s, or "both"; oneself last."""
    here = os.getpid()
    host, workers = (os.getppid(), [here]) if IN_WORKER else (here, children(here))
    victims = {"host": [host], "worker": workers, "both": [host, *workers]}[target]
    for victim in sorted(victims, key=lambda pid: pid == here):
        os.kill(victim, signal.SIGKILL)


def children(parent: int) -> list[int]:
    """The processes that a process has started and that still run."""
    files = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


class KillingQueue:
    """The queue of `latentry-store-sql`, each of whose methods is a point before and a point after."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner


def watched(name: str) -> Callable[..., Any]:
    """The queue's method of this name; `claim` counts only where there is a job to be claimed."""

    def call(self: KillingQueue, *arguments: Any, **named: Any) -> Any:
        counts = name != "claim" or self.inner.counts()["queued"] > 0
        doing.name = name if counts else None
        if counts:
            reach(f"{name}-before")
        try:
            return getattr(self.inner, name)(*arguments, **named)
        finally:
            doing.name = None
            if counts:
                reach(f"{name}-after")

    return call


for each in METHODS:
    setattr(KillingQueue, each, watched(each))


def open_store(folder: Path) -> Any:
    """The queue, with points before each commit and about the files of blobs."""
    from sqlalchemy import Engine, event

    from latentry_store_sql.opening import open_queue

    event.listen(Engine, "commit", lambda _connection: reach(f"{getattr(doing, 'name', None)}-commit"))
    sys.addaudithook(files)
    return KillingQueue(open_queue(folder))


def files(event: str, arguments: tuple[Any, ...]) -> None:
    """A blob gets its name by a link to a temporary file, which is then removed."""
    if event == "os.link" and "/blobs/" in str(arguments[1]):
        reach("blob-linking")
    elif event == "os.remove" and "/blobs/" in str(arguments[0]):
        reach("blob-linked")


@hookimpl
def register_stores() -> list[StoreSpec]:
    """The queue that kills."""
    return [StoreSpec("killing", open_store)]


@hookimpl
def on_event(event: Event) -> None:
    """What the host is told by its worker."""
    if isinstance(event, Stepped) and event.step == STEP:
        reach("step-seen")
    elif isinstance(event, ImageReady):
        reach("image-seen")


@hookimpl
def run_stage(stage: StageSpec, state: State) -> State:
    """The stage, with a point before, one within the sampling, and one after. Some prompts kill always."""
    prompt = state[JOB].plan.request.prompt
    if stage.name == "sample":
        for word, target in (("poison", "worker"), ("murder", "host")):
            if word in prompt:
                kill(target)
        state = state.put(DENOISE, counted(state[DENOISE]))
    reach(f"{stage.name}-before")
    after = stage.run(state)
    reach(f"{stage.name}-after")
    return after


def counted(denoise: Callable[..., Any]) -> Callable[..., Any]:
    """The denoiser, with a point at its third call."""
    calls = 0

    def call(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == STEP:
            reach("sample-step")
        return denoise(*arguments)

    return call
