"""`latentry jobs`."""

import click


@click.group()
def jobs() -> None:
    """Look at the jobs of a server, and stop or repeat them."""
