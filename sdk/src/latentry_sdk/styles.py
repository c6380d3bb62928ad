"""Styles: named texts to lay around a prompt, from a CSV file as AUTOMATIC1111 writes it."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from latentry_sdk import InvalidRequest

MAX_BYTES = 8 << 20


@dataclass(frozen=True)
class Style:
    """What a style adds: `{prompt}` in it stands for the prompt, otherwise it follows after a comma."""

    prompt: str = ""
    negative: str = ""


def read_styles(file: Path) -> Mapping[str, Style]:
    """The styles of a CSV file with the columns name, prompt and negative_prompt; none if it is not there."""
    if not file.is_file():
        return {}
    if file.stat().st_size > MAX_BYTES:
        raise InvalidRequest(f"{file.name} is larger than {MAX_BYTES >> 20} MiB")
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as opened:
        rows = [row for row in csv.DictReader(opened) if row.get("name")]
    return {row["name"]: Style(row.get("prompt") or "", row.get("negative_prompt") or "") for row in rows}
