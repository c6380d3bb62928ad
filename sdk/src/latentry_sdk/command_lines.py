"""What commands share: pairs of their flags, and what they print."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from latentry.errors import InvalidRequest, shown


def pairs(texts: Iterable[str], *, name: str) -> dict[str, str]:
    """`("unet=openvino",)` as a dictionary; `InvalidRequest` names what has no `=`."""
    found = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key or not value:
            raise InvalidRequest(f"--{name} takes NAME=VALUE, not {shown(text)}")
        found[key] = value
    return found


def owned(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """`("samplers.eta=1",)` as options by owner; `InvalidRequest` names what has no owner."""
    options: dict[str, dict[str, str]] = {}
    for name, value in pairs(texts, name="option").items():
        owner, _, option = name.rpartition(".")
        if not owner:
            raise InvalidRequest(f"--option takes OWNER.NAME=VALUE, not {shown(name)}")
        options.setdefault(owner, {})[option] = value
    return options


def show_json(value: Any) -> None:
    """Print `value` as JSON, alone on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print `rows` in aligned columns under their names."""
    cells = [[column.upper() for column in columns]]
    cells += [[" ".join(str(row.get(column) or "").split()) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
