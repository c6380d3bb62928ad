"""The command `latentry serve`, its flags made from declared options."""

from pathlib import Path
from typing import Any, get_args

import click
from pydantic.fields import FieldInfo

from latentry_api.settings import ServeOptions
from latentry_sdk import Host, parsed


def serve_command() -> click.Command:
    """`latentry serve` with a flag for each option."""

    def callback(**values: Any) -> None:
        from latentry_api.serve import serve

        host = click.get_current_context().find_object(Host)
        given = {name: value for name, value in values.items() if value not in (None, ())}
        serve(host or Host(), parsed(ServeOptions, given, where="serve: "))

    parameters: list[click.Parameter] = [_flag(name, one) for name, one in ServeOptions.model_fields.items()]
    text = "Serve jobs over HTTP: prints the URL when it is ready, and ends with SIGTERM or Ctrl-C."
    return click.Command("serve", params=parameters, callback=callback, help=text)


def _flag(name: str, field: FieldInfo) -> click.Option:
    """The option of a field; values stay text until the field's own type parses them."""
    spelled, kinds = f"--{name.replace('_', '-')}", {field.annotation, *get_args(field.annotation)}
    default = "" if field.default in (None, (), False) else f" [default: {field.default}]"
    text = f"{field.description}{default}"
    if bool in kinds:
        return click.Option([spelled, name], is_flag=True, default=None, help=text)
    metavar = "PATH" if Path in kinds else "NUMBER" if kinds & {int, float} else "TEXT"
    many = isinstance(field.default, tuple)
    return click.Option([spelled, name], default=None, multiple=many, metavar=metavar, help=text)
