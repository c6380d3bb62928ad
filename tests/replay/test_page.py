"""The examples of docs/replay.md give what the page shows."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.replay.conftest import Desk

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN = ("replay", "info")


def test_the_examples_give_what_is_shown(desk: "Desk") -> None:
    outputs: list[list[str]] = []
    for kind, content in BLOCKS:
        if kind == "sh":
            for name, *arguments in (shlex.split(line)[1:] for line in content.splitlines()):
                said = desk(name, *arguments)
                assert said.code in (0, 1), said.stderr
                outputs += [said.lines] if name in SHOWN else []
        else:
            assert holds(outputs.pop(0), content.splitlines()), content
    assert outputs == []


def holds(output: list[str], shown: list[str]) -> bool:
    """Whether the output has these lines, in order; `…` stands for any text."""
    rest = iter(output)
    patterns = [".+".join(map(re.escape, line.split("…"))) for line in shown]
    return all(any(re.fullmatch(pattern, line) for line in rest) for pattern in patterns)


@pytest.mark.parametrize("shown", [["b", "a"], ["a", "a"], ["c…"], ["a", "bc"]])
def test_a_page_that_shows_something_else_is_found(shown: list[str]) -> None:
    assert holds(["a", "b", "cd"], ["a", "c…"])
    assert not holds(["a", "b", "c"], shown)
