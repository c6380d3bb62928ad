"""The parts of a replay by themselves."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from latentry_replay.comparing import pixel_difference
from latentry_replay.finding import input_files, known_model
from latentry_replay.foreign import read_foreign
from latentry_replay.record import read_record
from latentry_replay.showing import printable
from latentry_sdk import InvalidRequest, ModelEntry, UnknownName, UserError
from latentry_sdk.sources import digest

ENTRIES = [ModelEntry("emoji", Path("/a/emoji64")), ModelEntry("base", Path("/b/sd_xl.safetensors"))]
HOST: Any = SimpleNamespace(models=lambda: ENTRIES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def complaint(read: Callable[[Mapping[str, str]], object], texts: Mapping[str, str]) -> str:
    """What the user is told where the texts cannot be read; any other error is a bug."""
    try:
        read(texts)
    except UserError as exc:
        return str(exc)
    return ""


def file_of(pixels: Any, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["emoji", "x"], "emoji"),
        (["emoji64"], "emoji"),
        (["sd_xl.safetensors"], "base"),
        (["SDXL\\sd_xl.safetensors"], "base"),
        (["/elsewhere/sd_xl"], "base"),
        (["unheard of", "emoji64"], "emoji"),
        ([None, "sd_xl"], "base"),
        ([None, "unheard of"], None),
        ([None], None),
    ],
    ids=str,
)
def test_a_model_is_one_that_is_listed(names: list[str | None], found: str | None) -> None:
    assert known_model(HOST, *names) == found


@pytest.mark.parametrize("name", ["unheard of", "..", "/a/emoji64/..", "Emoji", "C:"])
def test_any_other_model_is_asked_for(name: str) -> None:
    with pytest.raises(UnknownName, match="--model"):
        known_model(HOST, name)


def test_inputs_are_found_by_content_and_what_is_missing_is_named(tmp_path: Path) -> None:
    for name in ("b.png", "a.PNG", "c.txt"):
        (tmp_path / name).write_bytes(name.encode())
    wanted = {name: digest(name.encode()) for name in ("a.PNG", "b.png")}
    found = input_files({"image": wanted["b.png"], "mask": wanted["a.PNG"]}, {}, tmp_path)
    assert found == {"image": tmp_path / "b.png", "mask": tmp_path / "a.PNG"}
    given_mask = {"mask": Path("given.png")}
    assert input_files({"mask": "sha256:0"}, given_mask, tmp_path) == given_mask
    with pytest.raises(InvalidRequest, match=r"'image' .* and 'mask' .* by --image and --mask"):
        input_files({"image": digest(b"c.txt"), "mask": "sha256:0"}, {}, tmp_path)


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_pixels_are_compared_as_numpy_compares_them(seed: int, changes: int) -> None:
    random = np.random.default_rng(seed)
    before = random.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    after = before.copy()
    after.ravel()[random.integers(0, before.size, changes)] = random.integers(0, 256, changes)
    apart = np.abs(before.astype(int) - after).max(axis=2)
    found = pixel_difference(file_of(before), file_of(after), 10_000)
    assert (found.differing, found.total, found.largest) == (np.count_nonzero(apart), 35, apart.max())
    assert found.equal == np.array_equal(before, after)


def test_grey_and_rgb_of_the_same_colours_are_equal_and_other_sizes_are_not() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert pixel_difference(file_of(grey), file_of(np.stack([grey] * 3, 2)), 100).equal
    other = pixel_difference(file_of(grey), file_of(grey[:4]), 100)
    assert (other.equal, other.sizes) == (False, ((8, 8), (8, 4)))


@given(st.text() | JSON.map(json.dumps))
@example('{"latentry":"1","request":{},"seed":1,"applied":null}')
def test_any_text_is_a_record_or_a_users_error(text: str) -> None:
    assert len(complaint(read_record, {"latentry": text}).splitlines()) <= 1


@settings(deadline=None)
@given(
    st.sampled_from(["parameters", "prompt", "invokeai_metadata", "sd-metadata", "Dream"]),
    st.text() | JSON.map(json.dumps) | st.text().map("Steps: 1, Seed: 1, Sampler: x{}".format),
)
def test_any_text_of_another_program_is_read_or_a_users_error(name: str, text: str) -> None:
    texts = {name: text}
    assert len(complaint(read_foreign, texts).splitlines()) <= 1


@given(st.text(st.characters(exclude_categories=())) | JSON)
def test_what_is_printed_is_one_line_without_controls(value: Any) -> None:
    shown = printable(value)
    assert shown.isprintable()
    shown.encode()
    if isinstance(value, str) and value.isprintable():
        assert shown == value
