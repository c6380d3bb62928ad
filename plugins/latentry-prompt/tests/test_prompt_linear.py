"""Four times the text takes about four times as long, whatever it is made of."""

from collections.abc import Callable
from random import Random
from time import process_time

import pytest

from latentry_prompt.attention import weighted
from latentry_prompt.choices import chosen
from latentry_prompt.timing import timeline

SMALL = 50_000
GROWTH = 10
"""For four times the text: a quadratic reader takes 16 times as long."""

UNITS = (
    "(", ")", "[", "]", "()", "[]", "([", "(]", "[)", "(a", "[a", "a)", "a]", "[[a]]", "(a:1.2)", "(b:-1)",
    "(((a:1.2):1.3)", "[a:", "[a|", "[a|b]", "[a:b:3]", "[a::1]", "[a|b][a|b|c]", "[(a:1.1)|b]", "a(b[c]d)e",
    "{", "}", "{a|b}", "{a|b|{c|d}}", "\\", "\\(", "\\[a\\]", ":", ": ", ":1)", "1", "a:1 ", "BREAK ",
)  # fmt: skip
LONG = {"digits": (":", "1"), "spaces": ("(a:", " "), "when": ("[a:", "1"), "deep": ("[" * 49, "[a|b]")}
"""A beginning, and what is repeated after it."""

READERS: dict[str, Callable[[str], object]] = {
    "weights": weighted,
    "schedules": lambda text: timeline(text, 20),
    "choices": lambda text: chosen(text, Random(1)),
}


def best(read: Callable[[str], object], text: str) -> float:
    """Seconds of this process for the quicker of two readings."""
    seconds = []
    for _ in range(2):
        began = process_time()
        read(text)
        seconds.append(process_time() - began)
    return min(seconds)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("start", "unit"), [*(("", unit) for unit in UNITS), *LONG.values()])
def test_time_grows_with_the_length_alone(reader: str, start: str, unit: str) -> None:
    small, large = (start + (unit * size)[:size] + ("]" if start else "") for size in (SMALL, 4 * SMALL))
    assert best(READERS[reader], large) < GROWTH * max(best(READERS[reader], small), 0.005)


@pytest.mark.parametrize("text", [r"\abc", r"a\bc", r"(\d)", "\\"])
def test_a_backslash_before_what_needs_none_is_text(text: str) -> None:
    assert "".join(span.text for chunk in weighted(text) for span in chunk) == text.strip("()")


def test_texts_that_take_turns_come_back_each_round() -> None:
    found = timeline("[a|b] [x:y:3] [c|d|e]", 7)
    turns = ["a x c", "b x d", "a x e", "b y c", "a y d", "b y e", "a y c"]
    assert found == list(enumerate(turns, 1))
