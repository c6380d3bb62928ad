import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry_prompt.attention import LARGEST, weighted
from latentry_sdk import Span

GOLDEN = {
    "an (important) word": [("an ", 1), ("important", 1.1), (" word", 1)],
    "(unbalanced": [("unbalanced", 1.1)],
    "(literal]": [("literal]", 1.1)],
    "(unnecessary)(parens)": [("unnecessaryparens", 1.1)],
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ("a ", 1),
        ("house", 1.573),
        (" ", 1.1),
        ("on", 1),
        (" a ", 1.1),
        ("hill", 0.55),
        (", sun, ", 1.1),
        ("sky", 1.4641),
        (".", 1.1),
    ],
    "((a:1.2):1.3)": [("a", 1.56)],
    "a [less] b": [("a ", 1), ("less", 1 / 1.1), (" b", 1)],
    r"\(x\) \[y\] a\:b \\": [(r"(x) [y] a:b \ "[:-1], 1)],
    "(off:0) (minus:-1.5)": [("off", 0), (" ", 1), ("minus", -1.5)],
    "(a: .5 )": [("a", 0.5)],
    "ratio 16:9) ok": [("ratio 16:9) ok", 1)],
    "(a:b:1.2)": [("a:b", 1.2)],
    "(both [ways) on]": [("both ", 1.1), ("ways", 1), (" on", 1 / 1.1)],
    "": [],
}


@pytest.mark.parametrize("text", GOLDEN)
def test_weights_are_those_of_the_known_parser(text):
    (chunk,) = weighted(text)
    assert [span.text for span in chunk] == [words for words, _ in GOLDEN[text]]
    assert [span.weight for span in chunk] == pytest.approx([weight for _, weight in GOLDEN[text]], abs=1e-7)


def test_break_starts_a_chunk_wherever_it_stands():
    assert weighted("a BREAK b") == ((Span("a"),), (Span("b"),))
    assert weighted("(a BREAK b:1.5) c") == ((Span("a", 1.5),), (Span("b", 1.5), Span(" c")))
    assert weighted("BREAK") == ((), ())
    assert weighted("BREAKFAST") == ((Span("BREAKFAST"),),)


@given(st.text(st.sampled_from("()[]:\\ .0129-+aBREK"), max_size=200) | st.text(max_size=100))
def test_any_text_is_read_with_finite_weights(text):
    chunks = weighted(text)
    assert all(abs(span.weight) <= LARGEST for chunk in chunks for span in chunk)
    assert all(span.text for chunk in chunks for span in chunk)


@given(
    st.text(st.characters(exclude_characters="()[]:\\"), max_size=100).filter(
        lambda text: "BREAK" not in text
    )
)
def test_text_without_brackets_is_itself(text):
    assert weighted(text) == ((Span(text),) if text else (),)


@pytest.mark.parametrize("unit", ["(", "[", ")", "(a:1.1)", "([", "(]", " ", ": ", "BREAK ", "\\", "(a"])
def test_a_megabyte_is_read_in_linear_time(unit):
    text = unit * ((1 << 20) // len(unit))
    began = time.process_time()
    weighted(text)
    assert time.process_time() - began < 8  # linear: one quadratic pass over it would take minutes
