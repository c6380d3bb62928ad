"""The commands `latentry info` and `latentry replay`."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

import click

from latentry_sdk import Host

FILE = click.Path(path_type=Path)


@click.command
@click.argument("image", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON")
@click.pass_obj
def info(host: Host, image: Path, as_json: bool) -> None:
    """What a picture says of how it was made."""
    from latentry_replay.picture import Picture
    from latentry_replay.showing import described, show

    with redirect_stdout(sys.stderr):
        found = described(Picture.read(image, host), image)
    show(found, as_json=as_json)


@click.command
@click.argument("image", type=FILE)
@click.option("--output", "-o", type=FILE, metavar="OUT", help="Write the replayed picture here")
@click.option("--force", is_flag=True, help="Overwrite a file that exists")
@click.option("--model", help="The model, where the picture's is not found by its name")
@click.option("--image", "image_input", type=FILE, help="The picture that the recorded run started from")
@click.option("--mask", type=FILE, help="The mask that the recorded run used")
@click.option("--json", "as_json", is_flag=True, help="Print JSON")
@click.pass_obj
def replay(
    host: Host,
    image: Path,
    output: Path | None,
    force: bool,
    model: str | None,
    image_input: Path | None,
    mask: Path | None,
    as_json: bool,
) -> int:
    """Make a picture again and say whether it is equal; the exit code is 1 where it is not.

    Inputs of the recorded run that are not given are looked for beside the picture, by their content.
    """
    from latentry_replay.picture import Picture
    from latentry_replay.replaying import replayed
    from latentry_replay.showing import show_outcome

    if output is not None:
        _check_free(output, force=force)
    given: Mapping[str, Path | None] = {"image": image_input, "mask": mask}
    inputs = {name: path for name, path in given.items() if path is not None}
    with redirect_stdout(sys.stderr):
        picture = Picture.read(image, host)
        outcome = replayed(host, picture, model=model, inputs=inputs)
    if output is not None:
        outcome.artifact.save(output, overwrite=force)
    show_outcome(outcome, as_json=as_json)
    return 0 if outcome.pixels.equal else 1


def _check_free(output: Path, *, force: bool) -> None:
    """Refuse, before anything is run, a file that could not be written after it."""
    if not output.parent.is_dir():
        raise click.UsageError(f"there is no folder {str(output.parent)!a}")
    if output.is_dir() or (output.exists() and not force):
        raise click.UsageError(f"{str(output)!a} exists; choose another name, or pass --force")
