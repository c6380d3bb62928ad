"""The reader of AUTOMATIC1111's text, beside the well-known one of sd-parsers."""

import time

import pytest
from sd_parsers.parsers import AUTOMATIC1111Parser

from latentry_api_a1111.infotext import read

GOLDEN = """a photo of a cat, <lora:foo:0.8>
Negative prompt: blurry, lowres
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.0, Seed: 42, \
Size: 1024x768, Model hash: 31e35c80fc, Model: sdxl-base, Version: v1.10"""


def test_the_known_text_is_read_as_sd_parsers_reads_it():
    info = AUTOMATIC1111Parser(normalize_parameters=False).parse({"parameters": GOLDEN})
    (sampler,) = info.samplers
    found = read(GOLDEN)
    assert found["Prompt"] == sampler.prompts[0].value
    assert found["Negative prompt"] == sampler.negative_prompts[0].value
    assert (found["Sampler"], found["Model"]) == (sampler.name, sampler.model.name)
    others = {**info.metadata, **sampler.parameters}
    assert {name: found[name] for name in others} == others
    assert found.keys() - others.keys() == {"Prompt", "Negative prompt", "Sampler", "Model", "Model hash"}


@pytest.mark.parametrize(
    ("text", "prompt", "negative", "settings"),
    [
        ("", "", "", {}),
        ("only a prompt", "only a prompt", "", {}),
        (
            "Steps: 9, seen\nSteps: 3, Seed: 1, Sampler: Euler",
            "Steps: 9, seen",
            "",
            {"Steps": "3", "Seed": "1", "Sampler": "Euler"},
        ),
        (
            "a\nb\nNegative prompt: c\nd\nSteps: 3, Seed: 1, Size: 8x8",
            "a\nb",
            "c\nd",
            {"Steps": "3", "Seed": "1", "Size": "8x8"},
        ),
        (
            'a\nSteps: 3, Model: "x, y: \\"z\\"", Seed: 1',
            "a",
            "",
            {"Steps": "3", "Model": 'x, y: "z"', "Seed": "1"},
        ),
        ("Negative prompt: c", "", "c", {}),
        ("a: 1, b: 2", "a: 1, b: 2", "", {}),
        (
            'a\nSteps: 3, Model: "open, Seed: 1, Size: 8x8',
            "a",
            "",
            {"Steps": "3", "Model": '"open', "Seed": "1", "Size": "8x8"},
        ),
    ],
)
def test_what_looks_like_settings_in_a_prompt_stays_in_the_prompt(text, prompt, negative, settings):
    assert read(text) == {"Prompt": prompt, "Negative prompt": negative, **settings}


@pytest.mark.parametrize(
    "text", ["a: " * 200_000, '"' * 500_000, 'a: "' * 100_000, "\\" * 500_000, 'a: "\\\\' * 100_000], ids=len
)
def test_a_long_text_is_read_in_linear_time(text):
    began = time.perf_counter()
    read(text)
    assert time.perf_counter() - began < 2
