"""State and keys, and how errors show text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry.errors import PluginError, UnknownName, shown
from latentry.state import Key, State

WIDTH = Key[int]("test.width")
LABEL = Key[str]("test.label")


def test_put_makes_a_new_state_and_leaves_the_old_one() -> None:
    empty = State()
    one = empty.put(WIDTH, 1)
    two = one.put(WIDTH, 2).put(LABEL, "x")
    assert WIDTH not in empty
    assert (one[WIDTH], two[WIDTH], two[LABEL]) == (1, 2, "x")
    assert WIDTH in two
    assert LABEL not in one


def test_a_state_cannot_be_changed_in_place() -> None:
    state = State().put(WIDTH, 1)
    with pytest.raises(TypeError):
        state._entries["test.width"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError):
        state.width = 2  # type: ignore[attr-defined]


def test_keys_of_the_same_name_are_the_same_key() -> None:
    assert State().put(WIDTH, 3)[Key[int]("test.width")] == 3
    assert Key[int]("test.width") == Key[str]("test.width")


def test_reading_what_no_stage_gave_names_the_key_and_the_mend() -> None:
    with pytest.raises(PluginError, match=r"no stage gave 'test.width'; declare it in the stage's `needs`"):
        State()[WIDTH]


def test_get_takes_a_default_for_what_is_absent_and_keeps_what_is_false() -> None:
    assert State().get(WIDTH) is None
    assert State().get(WIDTH, 7) == 7
    assert State().put(WIDTH, 0).get(WIDTH, 7) == 0


@given(st.text(max_size=300))
def test_shown_text_is_one_printable_ascii_line(text: str) -> None:
    line = shown(text)
    assert line.isprintable()
    assert line.removesuffix("…'").isascii()
    assert len(line) <= 82


def test_an_unknown_name_lists_the_legal_ones_in_order() -> None:
    assert str(UnknownName("fruit", "egg", ["pear", "apple"])) == "unknown fruit 'egg'; known: apple, pear"
    assert "none is installed" in str(UnknownName("fruit", "egg", []))
