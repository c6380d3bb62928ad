import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry_prompt.choices import chosen, drawn, wildcard_lines
from latentry_prompt.styles import laid, styled
from latentry_sdk import InvalidRequest, UnknownName
from latentry_sdk.styles import Style, read_styles

NONE = wildcard_lines(None)


def test_a_choice_is_the_same_for_a_seed_and_takes_every_option():
    texts = [drawn("a {red|green|blue} {cat|dog}", seed, NONE) for seed in range(60)]
    assert texts == [drawn("a {red|green|blue} {cat|dog}", seed, NONE) for seed in range(60)]
    assert set(texts) == {
        f"a {colour} {animal}" for colour in ("red", "green", "blue") for animal in ("cat", "dog")
    }


def test_choices_nest_and_may_be_empty():
    found = {drawn("x{|{a|b}y}", seed, NONE) for seed in range(40)}
    assert found == {"x", "xay", "xby"}


@pytest.mark.parametrize("text", ["{a}", "{", "}", "a|b", "{a|b", "a}", "{{a}", r"[a|b]"])
def test_what_is_no_choice_stays_text(text):
    assert drawn(text, 1, NONE) == text


def test_an_escaped_brace_is_a_brace():
    assert drawn(r"\{a|b\} \(c\)", 1, NONE) == r"{a|b} \(c\)"


@given(st.text(st.sampled_from("{}|\\ab"), max_size=100))
def test_any_text_can_be_drawn_from(text):
    chosen(text, Random(1))


@pytest.mark.parametrize("unit", ["{", "}", "{a|", "{a|b}", "|", "{}"])
def test_a_megabyte_of_braces_is_read_in_linear_time(unit):
    text = unit * ((1 << 20) // len(unit))
    began = time.process_time()
    chosen(text, Random(1))
    assert time.process_time() - began < 8


def test_wildcards_come_from_files_and_may_hold_more(tmp_path):
    (tmp_path / "colour.txt").write_text("# warm\nred\n\n{dark|light} blue\n")
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "fruit.txt").write_text("__colour__ apple\n")
    lines = wildcard_lines(tmp_path)
    found = {drawn("a __things/fruit__", seed, lines) for seed in range(60)}
    assert found == {"a red apple", "a dark blue apple", "a light blue apple"}


def test_an_unknown_wildcard_is_an_error_that_lists_the_known(tmp_path):
    (tmp_path / "colour.txt").write_text("red")
    with pytest.raises(UnknownName, match="unknown wildcard 'color'; known: colour"):
        drawn("__color__", 1, wildcard_lines(tmp_path))


def test_no_wildcard_leads_out_of_the_folder(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "wildcards"
    inside.mkdir()
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    for name in ("../secret", "x/../../secret", "link", str(tmp_path / "secret")):
        with pytest.raises(UnknownName):
            wildcard_lines(inside)(name)
    assert drawn("__../secret__", 1, wildcard_lines(inside)) == "__../secret__"


@pytest.mark.parametrize(("text", "words"), [("__a__", "nested"), ("__a__ __a__", "longer|nested")])
def test_wildcards_without_end_are_refused(tmp_path, text, words):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InvalidRequest, match=words):
        drawn("__a__" * 2000, 1, wildcard_lines(tmp_path))


def test_a_wildcard_without_lines_is_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(InvalidRequest, match="no lines"):
        drawn("__empty__", 1, wildcard_lines(tmp_path))


def test_styles_stand_around_or_behind_the_prompt():
    assert laid("photo of {prompt}, sharp", "a cat") == "photo of a cat, sharp"
    assert laid("sharp", "a cat") == "a cat, sharp"
    assert laid("sharp", "") == "sharp"
    assert laid("", "a cat") == "a cat"


def test_styles_are_read_from_the_known_csv(tmp_path):
    file = tmp_path / "styles.csv"
    file.write_text(
        '\ufeffname,prompt,negative_prompt\nphoto,"photo of {prompt}, sharp",blurry\nsoft,soft,\n', "utf-8"
    )
    known = read_styles(file)
    assert known == {"photo": Style("photo of {prompt}, sharp", "blurry"), "soft": Style("soft", "")}
    assert styled("a cat", "ugly", ["photo", "soft"], known) == (
        "photo of a cat, sharp, soft",
        "ugly, blurry",
    )
    with pytest.raises(UnknownName, match="known: photo, soft"):
        styled("a", "", ["other"], known)
    assert read_styles(tmp_path / "none.csv") == {}
