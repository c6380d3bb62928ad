"""Show what was found: as lines that a terminal takes whatever the picture says, or as JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from latentry_replay.foreign import Foreign, read_foreign
from latentry_replay.picture import Picture
from latentry_replay.record import Record, read_record
from latentry_replay.replaying import Outcome
from latentry_sdk import UserError

LONGEST = 2000
"""Characters of one value on the terminal; JSON has all."""

INDENTED = 3
"""Mappings within mappings that have lines of their own; deeper ones are on one."""

Values = Mapping[str, Any]


def described(picture: Picture, path: Path) -> Values:
    """What a picture says, by section: our record first, then another program's."""
    record = read_record(picture.texts)
    found: dict[str, Any] = {"picture": str(path)}
    if record is not None:
        found["latentry"] = _record(record)
    try:
        foreign = read_foreign(picture.texts)
    except UserError as exc:
        if record is None:
            raise
        found["unreadable"] = exc.message
    else:
        if foreign is not None:
            found[foreign.generator] = _foreign(foreign)
    return found


def show(found: Values, *, as_json: bool) -> None:
    """Print the sections."""
    if as_json:
        return click.echo(json.dumps(found, indent=2))
    lines = list(_lines(found))
    return click.echo("\n".join(lines if len(found) > 1 else [*lines, "it says nothing of how it was made"]))


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print `equal` or `different`, then line by line what differs and what was not honoured."""
    if as_json:
        more = {"source": outcome.source, "equal": outcome.pixels.equal, "pixels": asdict(outcome.pixels)}
        more |= {"differences": [asdict(each) for each in outcome.differences], "lost": list(outcome.lost)}
        return click.echo(json.dumps(more, indent=2))
    return click.echo("\n".join(_outcome(outcome)))


def printable(value: Any, limit: int = LONGEST) -> str:
    """The value on one line: what a terminal might obey is escaped, letters of every script stay."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:limit])
    return shown if len(text) <= limit else f"{shown}…"


def _outcome(outcome: Outcome) -> Iterator[str]:
    yield "equal" if outcome.pixels.equal else "different"
    for each in outcome.differences:
        before, now = (printable("none" if one is None else one, 200) for one in (each.recorded, each.here))
        yield f"{printable(each.what, 200)}: {before} recorded, {now} here"
    yield from (f"not honoured: {printable(each, 200)}" for each in outcome.lost)
    pixels = outcome.pixels
    if pixels.sizes is not None:
        before, now = ("{} × {}".format(*size) for size in pixels.sizes)
        yield f"size: {before} recorded, {now} here"
    elif pixels.differing:
        yield f"pixels: {pixels.differing} of {pixels.total} differ, by {pixels.largest} of 255 at most"


def _lines(found: Values, depth: int = 0) -> Iterator[str]:
    for name, value in found.items():
        lead = f"{'  ' * depth}{printable(name, 100)}"
        if isinstance(value, Mapping) and value and depth < INDENTED:
            yield f"{lead}:"
            yield from _lines(value, depth + 1)
        else:
            yield f"{lead}: {printable(value)}"


def _record(record: Record) -> Values:
    prompt, negative = record.prompts
    applied = record.applied.model_dump(mode="json", exclude={"prompts", "variation", "options"})
    asked = {name: record.request.get(name) for name in ("task", "steps", "guidance", "width", "height")}
    return {
        "version": record.latentry,
        **{name: value for name, value in asked.items() if value is not None},
        "prompt": prompt,
        "negative": negative,
        "seed": record.seed,
        "image": record.index + 1,
        **applied,
        "options": record.options,
        "inputs": record.inputs,
    }


def _foreign(foreign: Foreign) -> Values:
    texts = {"prompt": foreign.prompt, "negative": foreign.negative}
    return {**texts, **foreign.settings, **foreign.rest}
