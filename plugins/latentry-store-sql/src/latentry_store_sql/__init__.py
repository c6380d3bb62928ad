"""Keep jobs in an SQL database: a durable queue for servers, a history for everyone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from latentry_sdk import Store, StoreSpec, hookimpl
from latentry_store_sql.commands import jobs


def open_store(folder: Path) -> Store:
    """The store of a data folder; SQLAlchemy is imported here, not when plugins are listed."""
    from latentry_store_sql.opening import open_queue

    return open_queue(folder)


@hookimpl
def register_stores() -> Sequence[StoreSpec]:
    """One store, which is a `latentry_sdk.queue.Queue` as well."""
    return (StoreSpec("sql", open_store, description="A durable queue in SQLite or PostgreSQL"),)


@hookimpl
def register_commands(cli: Any) -> None:
    """`latentry jobs`."""
    group: click.Group = cli
    group.add_command(jobs)
