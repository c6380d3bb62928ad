"""The records inside pictures, as an independent reader sees them."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager

from latentry_images.metadata import clean
from latentry_images.writing import as_bytes, read_back

TEXT = (
    "a photo of a cat\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, "
    "CFG scale: 6.0, Seed: 42, Size: 64x64, Model: tiny, Version: latentry 0.1"
)


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_another_program_reads_the_record(form: str) -> None:
    data = as_bytes(Image.new("RGB", (8, 8)), form, (TEXT, "{}"), 90)
    found = ParserManager().parse(io.BytesIO(data))
    assert found is not None
    assert [prompt.value for prompt in found.prompts] == ["a photo of a cat"]
    assert [prompt.value for prompt in found.negative_prompts] == ["blurry"]
    (sampler,) = found.samplers
    assert (sampler.name, sampler.parameters["seed"], sampler.parameters["steps"]) == ("DPM++ 2M", "42", "20")


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@given(text=st.text(max_size=80))
def test_any_text_survives_in_any_format(form: str, text: str) -> None:
    record = clean(text)
    data = as_bytes(Image.new("RGB", (2, 2)), form, (record, '{"a": 1}'), 90)
    parameters, document = read_back(data)
    assert (parameters or "") == record
    assert document == '{"a": 1}'


def test_control_characters_and_lone_surrogates_do_not_reach_a_record() -> None:
    assert clean("a\x00b\r\nc\ud800\x1b[31m") == "ab\nc?[31m"


def test_no_record_reads_as_none(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG")
    assert read_back(file.getvalue()) == (None, None)
