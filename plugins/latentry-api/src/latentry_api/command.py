"""The command `latentry serve`, its flags made from declared options."""

from pathlib import Path
from typing import Any, get_args

import click
from pydantic.fields import FieldInfo

from latentry_api.settings import ServeOptions
from latentry_sdk import Host, Options, parsed


def serve_command() -> click.Command:
    """`latentry serve` with a flag for each option."""

    @click.pass_obj
    def callback(host: Host, **values: Any) -> None:
        from latentry_api.serve import serve

        serve(host, _given(ServeOptions, values))

    return click.Command("serve", params=flags(ServeOptions), callback=callback, help="Serve jobs over HTTP.")


def flags(kind: type[Options]) -> list[click.Parameter]:
    """An option for each field; values stay text until the field's own type parses them."""
    return [_flag(name, field) for name, field in kind.model_fields.items()]


def _given(kind: type[Options], values: dict[str, Any]) -> Any:
    given = {name: values[name] for name in kind.model_fields if values[name] not in (None, ())}
    return parsed(kind, given, where="serve: ")


def _flag(name: str, field: FieldInfo) -> click.Option:
    spelled, kinds = f"--{name.replace('_', '-')}", {field.annotation, *get_args(field.annotation)}
    default = "" if field.default in (None, (), False) else f" [default: {field.default}]"
    text = f"{field.description}{default}"
    if bool in kinds:
        return click.Option([spelled, name], is_flag=True, default=None, help=text)
    metavar = "PATH" if Path in kinds else "NUMBER" if kinds & {int, float} else "TEXT"
    many = isinstance(field.default, tuple)
    return click.Option([spelled, name], default=None, multiple=many, metavar=metavar, help=text)
