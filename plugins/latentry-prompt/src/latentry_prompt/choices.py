"""Text drawn by the image's seed: `{red|green}` takes one, `__colour__` a line of the file colour.txt."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import TypeVar

from latentry_sdk import InvalidRequest, UnknownName

PART = re.compile(r"\\.|[{}|]|[^\\{}|]+|\\", re.DOTALL)
TOKEN = re.compile(rf"\{{[^\\{{}}]*+\}}|{PART.pattern}", re.DOTALL)
"""A part, or braces with nothing in them but plain text."""

WILDCARD = re.compile(r"__([A-Za-z0-9][A-Za-z0-9_./-]*?)__")
MOST_OPEN = 50
"""Braces nested deeper are text."""

DEEPEST = 10
"""Wildcards in wildcards in wildcards … end here."""

LONGEST = 1_000_000
MAX_BYTES = 8 << 20
"""A larger list of lines is not read."""

Lines = Callable[[str], Sequence[str]]
"""The lines of a wildcard, by its name."""

Rope = list["str | Rope"]
T = TypeVar("T")


def drawn(text: str, seed: int, lines: Lines) -> str:
    """`text` with every choice made: the same for the same seed."""
    random = Random(seed)
    for _ in range(DEEPEST):
        text, count = WILDCARD.subn(lambda match: one_of(lines(match[1]), random), text)
        if not count:
            return chosen(text, random)
        if len(text) > LONGEST:
            raise InvalidRequest(f"wildcards make the prompt longer than {LONGEST} characters")
    raise InvalidRequest(f"wildcards are nested more than {DEEPEST} deep")


def chosen(text: str, random: Random) -> str:
    """`text` with one of each `{a|b|c}`; an escaped brace, and one without its partner, is text."""
    if "{" not in text:
        return text
    stack: list[list[Rope]] = [[[]]]
    for token in TOKEN.findall(text):
        if token[0] != "{" or len(token) == 1:
            _take(token, stack, random)
        elif len(stack) <= MOST_OPEN:
            stack[-1][-1].append(one_of(token[1:-1].split("|"), random) if "|" in token else token)
        else:
            for part in PART.findall(token):
                _take(part, stack, random)
    return _flat(stack)


def _take(token: str, stack: list[list[Rope]], random: Random) -> None:
    """Read a part; `stack` has the options of each brace that is open, the outermost text first."""
    if token == "{" and len(stack) <= MOST_OPEN:
        stack.append([[]])
    elif token == "}" and len(stack) > 1:
        options = stack.pop()
        stack[-1][-1].append(one_of(options, random) if len(options) > 1 else ["{", options[0], "}"])
    elif token == "|" and len(stack) > 1:
        stack[-1].append([])
    else:
        stack[-1][-1].append(token[1:] if token in (r"\{", r"\}") else token)


def wildcard_lines(folder: Path | None) -> Lines:
    """Reads `folder/NAME.txt`, and nothing outside the folder: its lines but empty ones and those with #."""

    known = _known(folder)

    @cache
    def lines(name: str) -> Sequence[str]:
        if name not in known:
            raise UnknownName(
                "wildcard", name, known, fix="put a .txt file with a line for each choice there"
            )
        file = known[name]
        if file.stat().st_size > MAX_BYTES:
            raise InvalidRequest(f"the wildcard {name} is larger than {MAX_BYTES >> 20} MiB")
        found = [line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
        if not (found := [line for line in found if line and not line.startswith("#")]):
            raise InvalidRequest(f"the wildcard {name} has no lines")
        return found

    return lines


def _known(folder: Path | None) -> dict[str, Path]:
    if folder is None or not folder.is_dir():
        return {}
    root = folder.resolve()
    files = [file for file in root.rglob("*.txt") if file.is_file() and file.resolve().is_relative_to(root)]
    return {file.relative_to(root).with_suffix("").as_posix(): file for file in sorted(files)}


def one_of(options: Sequence[T], random: Random) -> T:
    """One of the options, the same on every version of Python."""
    return options[int(random.random() * len(options))]


def _flat(stack: Sequence[Sequence[Rope]]) -> str:
    """The text of the outermost part and of braces that were never closed, without recursion."""
    todo: Rope = []
    for depth, options in enumerate(stack):
        for index, option in enumerate(options):
            todo += ["|" if index else "{" if depth else "", option]
    texts: list[str] = []
    todo.reverse()
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            texts.append(part)
        else:
            todo.extend(reversed(part))
    return "".join(texts)
