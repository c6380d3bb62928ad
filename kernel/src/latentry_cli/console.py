"""Keep stdout for what was asked for, and stderr for everything else."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

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


def show_json(value: Any) -> None:
    """Print `value` as JSON, alone on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print `rows` in aligned columns under their names."""
    cells = [[column.upper() for column in columns]]
    cells += [[" ".join(str(row.get(column) or "").split()) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


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
