"""Say how a picture was made, and make it again."""

from typing import Any

import click

from latentry_replay.commands import info, replay
from latentry_sdk import hookimpl


@hookimpl
def register_commands(cli: Any) -> None:
    """`latentry info` and `latentry replay`."""
    group: click.Group = cli
    group.add_command(info)
    group.add_command(replay)
