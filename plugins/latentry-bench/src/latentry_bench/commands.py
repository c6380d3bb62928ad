"""The command `latentry bench`."""

import sys
from contextlib import redirect_stdout
from typing import Any

import click

from latentry_sdk import Host, Request, parsed
from latentry_sdk.command_lines import owned, pairs, show_json

SEED = 1


@click.command
@click.argument("task", default="txt2img")
@click.option("--model", metavar="TEXT", help="A model's name, folder or .safetensors file")
@click.option("--prompt", metavar="TEXT", default="a red apple on a table", help="What the picture shows")
@click.option("--input", "inputs", multiple=True, metavar="NAME=PATH", help="An input of the task")
@click.option("--width", metavar="INTEGER", help="Pixels; the model's own size when left out")
@click.option("--height", metavar="INTEGER", help="Pixels; the model's own size when left out")
@click.option("--steps", metavar="INTEGER", default="20", show_default=True, help="Sampling steps")
@click.option("--batch", metavar="INTEGER", default="1", show_default=True, help="Images in one run")
@click.option("--guidance", metavar="NUMBER", default="5", show_default=True, help="1 or less turns it off")
@click.option("--option", "-O", "more", multiple=True, metavar="OWNER.NAME=VALUE", help="Any other option")
@click.option("--device", "devices", multiple=True, metavar="TEXT", help="Try this one; all when left out")
@click.option("--dtype", "dtypes", multiple=True, metavar="TEXT", help="Try this type; all when left out")
@click.option(
    "--optimizer", "optimizers", multiple=True, metavar="TEXT",
    help="Try this, as in unet=compile, A+B, or none; all techniques of speed when left out",
)  # fmt: skip
@click.option(
    "--runs", type=click.IntRange(1, 1000), default=5, show_default=True, help="Warm runs of each way"
)
@click.option(
    "--limit", type=click.FloatRange(0.1, 86400), default=600, show_default=True, help="Seconds for each way"
)
@click.option("--approximate", is_flag=True, help="Let a way win that gives another picture")
@click.option("--reference/--no-reference", default=True, help="Compare with float32 on the processor")
@click.option("--save", is_flag=True, help="Write the fastest into the machine's profile")
@click.option("--show", is_flag=True, help="Show the machine's profile, and measure nothing")
@click.option("--forget", is_flag=True, help="Delete the machine's profile, and measure nothing")
@click.option("--json", "as_json", is_flag=True, help="Print JSON")
@click.pass_obj
def bench(host: Host, /, task: str, show: bool, forget: bool, as_json: bool, **values: Any) -> int:
    """Measure how fast this machine makes a picture, on each device, in each type, with each optimizer.

    Every way runs in a process of its own. The fastest that gives the same picture can be saved, and later
    jobs that name no device then go by it.
    """
    if show or forget:
        return _kept(forget=forget, as_json=as_json)
    return _measured(host, task, values, as_json=as_json)


def _kept(*, forget: bool, as_json: bool) -> int:
    from latentry_bench.profile import profile_path, read
    from latentry_bench.showing import show_profile

    path = profile_path()
    if not forget:
        show_profile(read(path), str(path or "nowhere"), json_wanted=as_json)
        return 0
    is_there = path is not None and path.is_file()
    if path is not None and is_there:
        path.unlink()
    click.echo(f"deleted {path}" if is_there else "there was no profile")
    return 0


def _measured(host: Host, task: str, values: dict[str, Any], *, as_json: bool) -> int:
    from latentry_bench import showing
    from latentry_bench.benching import Asked, benched
    from latentry_bench.candidates import Wanted
    from latentry_bench.saving import saved

    wanted = Wanted(values["devices"], values["dtypes"], values["optimizers"])
    request = _request(host, task, values)
    more = (values["reference"], values["approximate"])
    asked = Asked(request, wanted, values["runs"], values["limit"], *more)
    with redirect_stdout(sys.stderr):
        found = benched(host, asked, lambda told: click.echo(told, err=True))
        won = found.won
        path = str(saved(host, found, won, request)) if values["save"] and won else None
    if as_json:
        show_json(showing.as_json(found, asked, won, path))
    else:
        showing.show(found, asked, won, path)
    return 0 if won else 1


def _request(host: Host, task: str, values: dict[str, Any]) -> Request:
    plain = ("model", "prompt", "width", "height", "steps", "batch", "guidance")
    fields = {name: values[name] for name in plain if values[name] is not None}
    fields |= {"task": host.registry.tasks.find(task).name, "seed": SEED, "options": owned(values["more"])}
    return parsed(Request, {**fields, "inputs": pairs(values["inputs"], name="input")})
