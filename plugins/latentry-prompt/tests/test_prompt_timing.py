import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry_prompt.timing import timeline


def at(text, step, steps=10):
    return next(now for until, now in timeline(text, steps) if step <= until)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", [(10, "plain")]),
        ("a [cat:dog:0.5]", [(5, "a cat"), (10, "a dog")]),
        ("a [cat:dog:3]", [(3, "a cat"), (10, "a dog")]),
        ("a[ cat:4]", [(4, "a"), (10, "a cat")]),
        ("a[ cat::4]", [(4, "a cat"), (10, "a")]),
        ("[cat:dog:0]", [(10, "dog")]),
        ("[cat:dog:12]", [(10, "cat")]),
        ("[(cat:1.2):dog: .2 ]", [(2, "(cat:1.2)"), (10, "dog")]),
        ("[a:b:c]", [(10, "[a:b:c]")]),
        ("[a:b:c:2]", [(10, "[a:b:c:2]")]),
        ("[less]", [(10, "[less]")]),
        ("[a:b:5", [(10, "[a:b:5")]),
        ("a:b|c]", [(10, "a:b|c]")]),
        (r"\[a:b:5\]", [(10, r"\[a:b:5\]")]),
        ("([a:b:5)", [(10, "([a:b:5)")]),
    ],
)
def test_schedules_are_laid_over_ten_steps(text, expected):
    assert timeline(text, 10) == expected


def test_schedules_nest():
    text = "a[b:[c:d:2]:1]e"
    assert [at(text, step) for step in (1, 2, 3, 10)] == ["abe", "ace", "ade", "ade"]


def test_alternatives_take_turns():
    assert [at("[a|b|c]", step) for step in range(1, 6)] == ["a", "b", "c", "a", "b"]
    assert [at("[a|]x", step) for step in (1, 2)] == ["ax", "x"]
    assert [at("[[a:b:2]|c]", step) for step in (1, 2, 3)] == ["a", "c", "b"]


@given(st.text(st.sampled_from("()[]:|\\ .015ab"), max_size=120), st.integers(1, 30))
def test_any_text_has_a_prompt_for_every_step(text, steps):
    found = timeline(text, steps)
    untils = [until for until, _ in found]
    assert untils == sorted(set(untils))
    assert untils[-1] == steps
    assert all(before[1] != after[1] for before, after in pairwise(found))


@given(st.text(st.characters(exclude_characters="[]"), max_size=100))
def test_text_without_square_brackets_is_itself(text):
    assert timeline(text, 20) == [(20, text)]


@pytest.mark.parametrize("unit", ["(", "[", "]", "[a", "[a:", "([", "[a|", "\\"])
def test_a_megabyte_is_read_in_linear_time(unit):
    text = unit * ((1 << 20) // len(unit))
    began = time.process_time()
    timeline(text, 1)
    assert time.process_time() - began < 8
