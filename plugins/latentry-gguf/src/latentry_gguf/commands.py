"""The command `latentry gguf`."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from latentry_sdk import Host, InvalidRequest, Request

PATH = click.Path(path_type=Path)


@click.command
@click.argument("file", type=PATH)
@click.argument("base")
@click.argument("folder", type=PATH)
@click.pass_obj
def gguf(host: Host, file: Path, base: str, folder: Path) -> None:
    """Write the model BASE with the UNet of a GGUF FILE to a new FOLDER.

    The weights stay in the blocks that the file holds. BASE is a diffusers folder with a UNet of its shapes.
    """
    from latentry_gguf.importing import write_with

    with redirect_stdout(sys.stderr):
        header = host.plan(Request(task="txt2img", model=base)).header
        if not header.is_folder:
            raise InvalidRequest(f"{header.path.name} is no diffusers folder")
        kinds = write_with(file, header, folder)
    click.echo(", ".join(f"{count} tensors of {kind}" for kind, count in sorted(kinds.items())))
