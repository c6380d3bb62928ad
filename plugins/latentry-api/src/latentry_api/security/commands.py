"""The commands `latentry token add`, `list` and `remove`."""

from pathlib import Path

import click

from latentry_sdk.service import Scope

FILE = click.option(
    "--file", "-f", "path", type=click.Path(path_type=Path), required=True, help="The token file"
)


@click.group
def token() -> None:
    """Tokens that let callers in to `latentry serve --token-file FILE`."""


@token.command
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(["read", "generate", "admin"]),
    multiple=True,
    help="What it lets do; read and generate unless given",
)
@FILE
def add(name: str, scopes: "tuple[Scope, ...]", path: Path) -> None:
    """Make a token and print it, once: the file keeps its hash."""
    from latentry_api.security.tokens import add_token

    click.echo(add_token(path, name, scopes or ("read", "generate")))


@token.command("list")
@FILE
def list_tokens(path: Path) -> None:
    """Print the names of tokens and what they let do."""
    from latentry_api.security.tokens import read_tokens

    for kept in read_tokens(path):
        click.echo(f"{kept.name}  {','.join(sorted(kept.scopes))}")


@token.command
@click.argument("name")
@FILE
def remove(name: str, path: Path) -> None:
    """Take a token out of the file; a running server refuses it from the next request on."""
    from latentry_api.security.tokens import remove_token

    remove_token(path, name)
