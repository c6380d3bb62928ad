"""Keep stdout for what was asked for, and stderr for everything else."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from latentry.events import Event, ModelLoaded, Stepped


@contextmanager
def quiet_stdout() -> Iterator[None]:
    """While this lasts, what anyone writes to stdout, by Python or by descriptor, goes to stderr."""
    sys.stdout.flush()
    kept, stream = os.dup(1), sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = stream
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def progress_bar() -> Iterator[Callable[[Event], None]]:
    """A listener that draws sampling steps on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _event: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task("loading", total=None)

        def listen(event: Event) -> None:
            if isinstance(event, ModelLoaded):
                bar.update(row, description="loaded")
            elif isinstance(event, Stepped):
                bar.update(row, description="sampling", completed=event.step, total=event.steps)

        yield listen
