"""The tables of docs/prompts.md, read back and compared with what the parsers give."""

import re
from pathlib import Path

import pytest

from latentry_prompt.attention import weighted
from latentry_prompt.timing import timeline

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| (.+) \|$", PAGE, re.MULTILINE)
WEIGHTS = [(text, re.findall(r"`(.+?)` ([\d.]+)", said)) for text, said in ROWS if "to step" not in said]
TIMES = [(text, re.findall(r"to step (\d+) `(.+?)`", said)) for text, said in ROWS if "to step" in said]


def test_the_page_has_both_tables() -> None:
    assert (len(WEIGHTS), len(TIMES)) == (7, 6)


@pytest.mark.parametrize(("text", "said"), WEIGHTS, ids=[text for text, _ in WEIGHTS])
def test_weights_are_as_the_page_says(text: str, said: list[tuple[str, str]]) -> None:
    (chunk,) = weighted(text)
    assert [(span.text, f"{span.weight:.8g}") for span in chunk] == said


@pytest.mark.parametrize(("text", "said"), TIMES, ids=[text for text, _ in TIMES])
def test_times_are_as_the_page_says(text: str, said: list[tuple[str, str]]) -> None:
    assert [(str(until), now) for until, now in timeline(text, 10)] == said
