"""The command `latentry`."""

import gc
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from latentry.config import load_config
from latentry.errors import Cancelled, LatentryError, OutOfMemory, UnknownName, UserError
from latentry.host import Host
from latentry_cli.check import check
from latentry_cli.console import quiet_stdout
from latentry_cli.doctor import doctor
from latentry_cli.listing import LISTINGS
from latentry_cli.planning import PlanGroup
from latentry_cli.tasks import task_command

USER_MISTAKE, BUG, STOPPED = 2, 1, 130


def main() -> None:
    """The console script: runs `sys.argv` and exits.

    Python looks for garbage as it ends, which takes most of a second among what torch and diffusers made.
    """
    code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code is 0, 2 for a user's mistake, 1 for a bug, 130 when stopped."""
    try:
        with _opened_host() as host:
            code = build(host).main(list(arguments), prog_name="latentry", standalone_mode=False)
    except click.ClickException as exc:
        return _say(exc.format_message(), USER_MISTAKE)
    except UserError as exc:
        return _say(str(exc), USER_MISTAKE)
    except (Cancelled, click.Abort, KeyboardInterrupt):
        return _say("stopped", STOPPED)
    except OutOfMemory as exc:
        return _say(str(exc), BUG)
    except LatentryError as exc:
        traceback.print_exception(exc.__cause__ or exc)
        return _say(str(exc), BUG)
    except Exception:
        traceback.print_exc()
        return BUG
    return code if isinstance(code, int) else 0


class Commands(click.Group):
    """A group that lists its commands to whoever names none of them."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names."""
        if self.get_command(ctx, args[0]) is None:
            raise UnknownName("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


def build(host: Host) -> click.Group:
    """The command group of a host: a command for each task, the listings, and what plugins add."""
    group = Commands(help="Make pictures with diffusion models. Every feature is a plugin.")
    group.context_settings = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
    for name, task in host.registry.tasks.items():
        group.add_command(task_command(host, task), name)
    group.add_command(PlanGroup(host))
    for listing in LISTINGS:
        group.add_command(listing)
    group.add_command(doctor)
    group.add_command(check)
    for name, command in host.commands.items():
        group.add_command(command, name)
    group.context_settings["obj"] = host
    return group


@contextmanager
def _opened_host() -> Iterator[Host]:
    with quiet_stdout():
        host = Host(config=load_config(os.environ))
    try:
        yield host
    finally:
        with quiet_stdout():
            host.close()


def _say(message: str, code: int) -> int:
    click.echo(f"latentry: {' '.join(message.split())}", err=True)
    return code
