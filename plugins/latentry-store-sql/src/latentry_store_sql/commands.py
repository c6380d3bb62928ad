"""`latentry jobs`: what a server's queue holds, beside the server."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from latentry_sdk import Host
from latentry_sdk.queue import Status
from latentry_sdk.service import UnknownJob
from latentry_store_sql.showing import COLUMNS, as_json, as_lines, as_row, as_table

if TYPE_CHECKING:
    from latentry_store_sql.queue import SqlQueue

DATA = click.option("--data", type=click.Path(path_type=Path), help="The server's data folder")
JSON = click.option("--json", "as_json_", is_flag=True, help="Print JSON")
ID = click.argument("job", metavar="ID")


@click.group()
def jobs() -> None:
    """Look at a server's jobs, stop them or queue them again; the server may be running."""


@jobs.command("list")
@click.option("--status", multiple=True, type=click.Choice(get_args(Status)), help="Only jobs of this status")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, help="So many  [default: 50]")
@DATA
@JSON
@click.pass_obj
def show_list(host: Host, status: tuple[Status, ...], limit: int, data: Path | None, as_json_: bool) -> None:
    """The newest jobs first."""
    with _queue(host, data) as queue:
        found = queue.jobs(statuses=status, limit=limit)
    if as_json_:
        click.echo(json.dumps([as_json(job) for job in found], indent=2))
    else:
        click.echo(as_table([COLUMNS, *map(as_row, found)]))


@jobs.command()
@ID
@DATA
@JSON
@click.pass_obj
def show(host: Host, job: str, data: Path | None, as_json_: bool) -> None:
    """One job: what was asked, each attempt at it, how it ended."""
    with _queue(host, data) as queue:
        found, attempts = _known(queue.job, job), queue.attempts(job)
    if as_json_:
        click.echo(json.dumps({**as_json(found), "attempts": attempts}, indent=2))
    else:
        click.echo("\n".join(as_lines(found, attempts)))


@jobs.command()
@ID
@DATA
@click.pass_obj
def cancel(host: Host, job: str, data: Path | None) -> None:
    """Stop a job: at once where it waits, at its next step where it runs."""
    with _queue(host, data) as queue:
        found = _known(queue.cancel, job)
    click.echo(f"{found.id}  {'is being stopped' if found.status == 'running' else found.status}")


@jobs.command()
@ID
@DATA
@click.pass_obj
def retry(host: Host, job: str, data: Path | None) -> None:
    """Queue a failed or cancelled job again."""
    with _queue(host, data) as queue:
        found = _known(queue.retry, job)
    click.echo(f"{found.id}  {found.status}")


@contextmanager
def _queue(host: Host, data: Path | None) -> Iterator["SqlQueue"]:
    from latentry_store_sql.opening import open_beside

    queue = open_beside(data or host.config.data_dir)
    try:
        yield queue
    finally:
        queue.close()


def _known(ask: Callable[[str], Any], job: str) -> Any:
    found = ask(job)
    if found is None:
        raise UnknownJob(f"there is no job {job[:64]!a}", fix="latentry jobs list shows those there are")
    return found
