"""A megabyte is read in about a second, and four times the text takes about four times as long."""

import re
from collections.abc import Callable
from random import Random
from time import process_time

import pytest

from latentry_prompt.attention import weighted
from latentry_prompt.choices import chosen
from latentry_prompt.timing import LONGEST, timeline
from latentry_sdk import InvalidRequest

SMALL = 50_000
GROWTH = 10
"""For four times the text: a quadratic reader takes 16 times as long."""

UNITS = (
    "(", ")", "[", "]", "()", "[]", "([", "(]", "[)", "(a", "[a", "a)", "a]", "[[a]]", "(a:1.2)", "(b:-1)",
    "(((a:1.2):1.3)", "[a:", "[a|", "[a|b]", "[a:b:3]", "[a::1]", "[a|b][a|b|c]", "[(a:1.1)|b]", "a(b[c]d)e",
    "[|]", "[:[:1]:1]", "[:5][::7][a|b][a|b|c]",
    "{", "}", "{a|b}", "{a|b|{c|d}}", "\\", "\\(", "\\[a\\]", ":", ": ", ":1)", "1", "a:1 ", "BREAK ",
)  # fmt: skip
LONG = {
    "digits": (":", "1"),
    "spaces": ("(a:", " "),
    "when": ("[a:", "1"),
    "deep": ("[" * 49, "[a|b]"),
    "ends": ("[" * 50, ")"),
}
"""A beginning, and what is repeated after it."""

MEGABYTE = 1 << 20
MOST_SECONDS = 1.0
"""Of an idle processor, for a megabyte."""

YARD_SECONDS = 0.25
"""What `yard` takes on a processor on which a megabyte has a second; a busy one takes longer for both."""

YARD = "[a" * (1 << 19)

SLOWEST = {
    "weights": ("(]", "[a]b", "a(b[c]d)e", "(a", "a)", "a]", "[[|]|]", "(a:2)b", "(a:2)[b|c]"),
    "schedules": (
        "[|]",
        "[:1]",
        "[[|]|]",
        "[:[:1]:1]",
        "[a::1]",
        "[a:b:3]",
        "[a|b]",
        "[a|b|c][a|b|c|d|e]",
        "[a|b|c|d][a|b|c|d|e]",
        "[:5][::7][a|b][a|b|c]",
    ),
    "choices": ("{|}", "{a|b|{c|d}}"),
}

READERS: dict[str, Callable[[str], object]] = {
    "weights": weighted,
    "schedules": lambda text: timeline(text, 20),
    "choices": lambda text: chosen(text, Random(1)),
}


def best(read: Callable[[str], object], text: str, *, readings: int = 2) -> float:
    """Seconds of this process for the quickest of some readings."""
    seconds = []
    for _ in range(readings):
        began = process_time()
        read(text)
        seconds.append(process_time() - began)
    return min(seconds)


def yard(text: str) -> None:
    """A fixed amount of the work that readers do: tokens are found, looked at and kept."""
    kept, depth = list[tuple[str, int]](), 0
    for token in re.findall(r".", text):
        depth += token == "["
        kept.append((token, depth))


def seconds_if_idle(read: Callable[[str], object], text: str, *, readings: int = 3) -> float:
    """Seconds of the quickest reading, on a processor that had nothing else to do: told by the yard's."""
    turns = [(best(read, text, readings=1), best(yard, YARD, readings=1)) for _ in range(readings)]
    return min(mine for mine, _ in turns) * YARD_SECONDS / min(yards for _, yards in turns)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("start", "unit"), [*(("", unit) for unit in UNITS), *LONG.values()])
def test_time_grows_with_the_length_alone(reader: str, start: str, unit: str) -> None:
    small, large = (start + (unit * size)[:size] + ("]" if start else "") for size in (SMALL, 4 * SMALL))
    assert best(READERS[reader], large) < GROWTH * max(best(READERS[reader], small), 0.005)


@pytest.mark.parametrize(("reader", "unit"), [(each, unit) for each in READERS for unit in SLOWEST[each]])
def test_a_megabyte_is_read_in_bounded_time(reader: str, unit: str) -> None:
    assert seconds_if_idle(READERS[reader], (unit * MEGABYTE)[:MEGABYTE]) < MOST_SECONDS


@pytest.mark.parametrize("long", ["x" * 100_000, "[a|b]" * 20_000])
def test_a_long_text_does_not_change_into_as_many_as_there_are_steps(long: str) -> None:
    turns = "[" + "|".join(map(str, range(1000))) + "]"
    began = process_time()
    with pytest.raises(InvalidRequest, match=f"longer than {LONGEST} characters in all"):
        timeline(turns + long, 1000)
    assert process_time() - began < MOST_SECONDS
    assert len(timeline(turns + long[:1000], 1000)) == 1000


@pytest.mark.parametrize("text", [r"\abc", r"a\bc", r"(\d)", "\\"])
def test_a_backslash_before_what_needs_none_is_text(text: str) -> None:
    assert "".join(span.text for chunk in weighted(text) for span in chunk) == text.strip("()")


def test_texts_that_take_turns_come_back_each_round() -> None:
    found = timeline("[a|b] [x:y:3] [c|d|e]", 7)
    turns = ["a x c", "b x d", "a x e", "b y c", "a y d", "b y e", "a y c"]
    assert found == list(enumerate(turns, 1))
