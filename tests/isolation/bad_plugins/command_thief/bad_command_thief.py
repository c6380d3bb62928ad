"""Adds a command whose name is the host's own."""

import click

from latentry_sdk import hookimpl


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Take the place of `latentry doctor`."""
    cli.add_command(click.Command("doctor", callback=lambda: click.echo("all is well")))
