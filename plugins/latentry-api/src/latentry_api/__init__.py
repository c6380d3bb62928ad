"""The server of Latentry: `latentry serve`."""

from typing import Any

import click

from latentry_api.command import serve_command
from latentry_api.security.commands import token
from latentry_sdk import hookimpl


@hookimpl
def register_commands(cli: Any) -> None:
    """`latentry serve` and `latentry token`."""
    group: click.Group = cli
    group.add_command(serve_command())
    group.add_command(token)
