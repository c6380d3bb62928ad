"""Make command-line flags from declared options: one declaration, one validation."""

from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo


def flag(name: str, field: FieldInfo, *, prefix: str = "") -> click.Option:
    """The option `--name` of a declared field; values stay text until the field's own type parses them."""
    spelled = f"{prefix}{name}".replace("_", "-")
    kind = _plain(field.annotation)
    default = "" if field.default in (None, (), {}) or field.is_required() else f" [default: {field.default}]"
    text = f"{field.description or ''}{default}"
    parameter = f"{prefix}{name}".replace("-", "_").replace(".", "_")
    if kind is bool:
        return click.Option([f"--{spelled}/--no-{spelled}", parameter], default=None, help=text)
    origin = get_origin(kind) or kind
    many = isinstance(origin, type) and issubclass(origin, (tuple, Mapping))
    return click.Option(
        [f"--{spelled}", parameter],
        default=None,
        help=text,
        multiple=many,
        type=click.Choice([str(value) for value in get_args(kind)]) if origin is Literal else click.STRING,
        metavar=None if origin is Literal else _metavar(origin),
    )


def is_mapping(field: FieldInfo) -> bool:
    """Whether the field is a mapping, which a flag fills pair by pair."""
    origin = get_origin(_plain(field.annotation))
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _plain(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        inner = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _plain(inner[0]) if len(inner) == 1 else str
    return _plain(annotation.__origin__) if hasattr(annotation, "__metadata__") else annotation


def _metavar(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return "NAME=VALUE"
    return {int: "INTEGER", float: "NUMBER"}.get(kind, "TEXT")
