"""Prompts that are too long, too deep, or not text at all (behaviours, section 9, item 9)."""

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from latentry_sdk.testing.hostile import TEXTS

if TYPE_CHECKING:
    from tests.bad_input.conftest import Shell, Trial


@pytest.mark.parametrize("field", ["prompt", "negative"])
def test_a_megabyte_of_text_is_refused(trial: "Trial", field: str) -> None:
    message = trial.refused(**{field: "x" * 1_000_000})
    assert field in message
    assert "100000" in message


@pytest.mark.parametrize("field", ["prompt", "negative"])
@pytest.mark.parametrize("value", [None, 7, ["x"], "a \ud800 b"], ids=ascii)
def test_what_is_no_text_is_refused(trial: "Trial", field: str, value: Any) -> None:
    assert field in trial.refused(**{field: value})


@pytest.mark.parametrize("name", TEXTS)
def test_strange_text_makes_a_picture_with_clean_metadata(trial: "Trial", name: str) -> None:
    text = TEXTS[name]
    for fields in ({"prompt": text}, {"prompt": "x", "negative": text}):
        artifact = trial.accepted(**fields, guidance=2).artifacts[0]
        with Image.open(io.BytesIO(artifact.data)) as picture:
            info = picture.info
        assert not set("\0\r\x07\x1b") & set(info["parameters"])
        info["parameters"].encode()
        assert json.loads(info["latentry"])["seed"] == 1


@pytest.mark.parametrize("form", ["jpeg", "webp"])
@pytest.mark.parametrize("name", ["nested brackets", "controls", "emoji"])
def test_strange_text_fits_into_every_format(trial: "Trial", form: str, name: str) -> None:
    artifact = trial.accepted(prompt=TEXTS[name], format=form).artifacts[0]
    assert artifact.open().size == (64, 64)


def test_a_prompt_with_line_ends_cannot_forge_the_last_line(trial: "Trial") -> None:
    artifact = trial.accepted(prompt=TEXTS["line ends"]).artifacts[0]
    with Image.open(io.BytesIO(artifact.data)) as picture:
        last = picture.info["parameters"].splitlines()[-1]
    assert "Seed: 1" in last
    assert "Seed: 5" not in last


def test_the_command_line_refuses_a_megabyte_of_text(shell: "Shell") -> None:
    assert "100000" in shell.refused("txt2img", "x" * 1_000_000, "-o", "x.png")


def test_the_command_line_takes_strange_text(shell: "Shell") -> None:
    said = shell("txt2img", TEXTS["controls"], "-o", "x.png", "--steps", "1", "--json")
    assert said.code == 0, said.stderr
    json.loads(said.stdout)
    assert [path.name for path in shell.folder.iterdir()] == ["x.png"]
