"""Styles: named texts laid around a prompt, from a CSV file as AUTOMATIC1111 writes it."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentry_sdk import InvalidRequest, UnknownName

PLACE = "{prompt}"
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


def styled(prompt: str, negative: str, names: Sequence[str], known: Mapping[str, Style]) -> tuple[str, str]:
    """Prompt and negative prompt with the named styles laid around them, in order."""
    for name in names:
        if name not in known:
            raise UnknownName("style", name, known)
        prompt, negative = laid(known[name].prompt, prompt), laid(known[name].negative, negative)
    return prompt, negative


def laid(style: str, text: str) -> str:
    """`text` in the style's place for it, or before the style."""
    if PLACE in style:
        return style.replace(PLACE, text)
    return ", ".join(part for part in (text.strip(), style.strip()) if part)
