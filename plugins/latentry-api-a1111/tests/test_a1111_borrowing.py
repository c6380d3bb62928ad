"""A picture's text fills what a call leaves out."""

import pytest

from latentry_api_a1111.borrowing import filled
from latentry_api_a1111.fields import Txt2Img
from latentry_sdk import InvalidRequest

TEXT = """a red apple
Negative prompt: green
Steps: 3, Sampler: Euler a, Schedule type: Karras, CFG scale: 4.5, Seed: 9, Variation seed: 5, \
Variation seed strength: 0.25, Size: 64x128, Model hash: 1738671129, Model: emoji64, \
Version: latentry 0.1.0"""


def test_every_setting_is_a_field():
    asked = filled(Txt2Img(infotext=TEXT))
    assert asked.model_dump(exclude_unset=True) == {
        "prompt": "a red apple",
        "negative_prompt": "green",
        "steps": 3,
        "sampler_name": "Euler a",
        "scheduler": "Karras",
        "cfg_scale": 4.5,
        "seed": 9,
        "subseed": 5,
        "subseed_strength": 0.25,
        "width": 64,
        "height": 128,
        "override_settings": {"sd_model_checkpoint": "emoji64"},
        "infotext": "",
    }


def test_what_the_call_says_itself_stays():
    settings = {"sd_model_checkpoint": "toy", "CLIP_stop_at_last_layers": 2}
    asked = filled(Txt2Img(infotext=TEXT, prompt="", seed=1, override_settings=settings))
    assert (asked.prompt, asked.seed, asked.steps) == ("", 1, 3)
    assert asked.override_settings == settings


def test_without_a_text_nothing_changes():
    asked = Txt2Img(prompt="x")
    assert filled(asked) is asked


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (
            "Steps: 3, Sampler: Euler, Seed: 1, Lora hashes: x",
            "infotext has 'Lora hashes', which is not read here",
        ),
        ("Steps: many, Sampler: Euler, Seed: 1", "infotext: steps: Input should be a valid integer"),
        (
            "Steps: 3, Sampler: Euler, Size: 7x64",
            "infotext: width: Input should be greater than or equal to 8",
        ),
        ("Steps: nan, Sampler: Euler, CFG scale: inf", "infotext: "),
    ],
)
def test_what_is_not_known_or_wrong_is_refused(line, match):
    with pytest.raises(InvalidRequest, match=match):
        filled(Txt2Img(infotext=f"a cat\n{line}"))
