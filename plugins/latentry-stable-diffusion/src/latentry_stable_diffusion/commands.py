"""The command `latentry quantize`."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from latentry_sdk import Host, InvalidRequest, Request


@click.command
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--quantize",
    "schemes",
    multiple=True,
    required=True,
    metavar="PART=QUANTIZER:SCHEME",
    help="What to store a component by, as unet=quanto:int8",
)
@click.pass_obj
def quantize(host: Host, model: str, folder: Path, schemes: tuple[str, ...]) -> None:
    """Write MODEL to a new FOLDER with components stored quantized; it is loaded as it is."""
    from latentry_stable_diffusion.loading import load
    from latentry_stable_diffusion.saving import save

    asked = dict(_pair(text) for text in schemes)
    with redirect_stdout(sys.stderr):
        plan = host.plan(Request(task="txt2img", model=model, quantize=asked))
        if plan.family.load is not load:
            raise InvalidRequest(f"{plan.family.name!r} models cannot be stored quantized")
        sizes = save(plan, folder)
    for part, size in sizes.items():
        click.echo(f"{part}: {size / 1e6:.1f} MB")


def _pair(text: str) -> tuple[str, str]:
    part, found, value = text.partition("=")
    if not found:
        raise InvalidRequest(f"{text!a} is not PART=QUANTIZER:SCHEME")
    return part, value
