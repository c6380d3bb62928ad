"""Names that lead elsewhere, or nowhere (behaviours, section 9, item 5)."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from latentry_sdk.testing.hostile import NAMES

if TYPE_CHECKING:
    from tests.bad_input.conftest import Shell, Trial

NO_NAME = ("at most 128 characters", "unable to parse raw data as a unicode string")
KINDS = {"sampler": "euler", "scheduler": "normal", "task": "txt2img"}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_model_that_is_not_there_is_refused(trial: "Trial", name: str) -> None:
    message = trial.refused(model=name)
    assert message.isprintable() or "validation error" in message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_nothing_has_is_refused_with_the_legal_ones(trial: "Trial", kind: str, name: str) -> None:
    message = trial.refused(**{kind: name})
    assert any(words in message for words in (KINDS[kind], *NO_NAME))


@pytest.mark.parametrize("name", [name for name in NAMES if name.isascii() and len(name) < 4000], ids=ascii)
def test_names_in_every_other_place_are_refused(trial: "Trial", name: str) -> None:
    assert "cpu" in trial.refused(place={"unet": name})
    assert "unet" in trial.refused(place={name: "cpu"})
    assert "png" in trial.refused(format=name)
    assert "float32" in trial.refused(dtype=name)
    trial.refused(optimizers=(name,))
    trial.refused(quantize={"unet": name})
    assert "inpaint" in trial.refused(task="inpaint", options={name: {"strength": 1}})
    assert "strength" in trial.refused(task="inpaint", options={"inpaint": {name: 1}})


def test_a_file_that_is_no_model_is_refused(trial: "Trial", tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a model")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for name, word in (("notes.txt", ".safetensors"), ("empty.safetensors", ""), ("folder", "model_index")):
        message = trial.refused(model=str(tmp_path / name))
        assert name in message
        assert word in message


def test_a_model_folder_whose_links_lead_nowhere_is_refused(trial: "Trial", tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "model_index.json").symlink_to(tmp_path / "nowhere.json")
    assert "links" in trial.refused(model=str(folder))
    (tmp_path / "round").symlink_to(tmp_path / "round")
    trial.refused(model=str(tmp_path / "round"))


@pytest.mark.timeout(60)
def test_a_pipe_as_a_model_is_refused(trial: "Trial", tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert "pipe" in trial.refused(model=str(tmp_path / "pipe.safetensors"))


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("nowhere/x.png", "folder"),
        (".", ""),
        ("x.exe", "png"),
        ("x.svg", "png"),
        ("a\0b.png", "path"),
        ("x" * 4000 + ".png", "path"),
        ("taken.png", "--force"),
        ("link.png", ""),
        ("../" * 50 + "nowhere/x.png", "folder"),
        ("taken.png/x.png", "folder"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_an_output_that_cannot_be_is_refused_before_the_work(shell: "Shell", output: str, word: str) -> None:
    (shell.folder / "taken.png").write_bytes(b"mine")
    (shell.folder / "link.png").symlink_to("taken.png")
    assert word in shell.refused("txt2img", "x", "-o", output, "--steps", "1")


def test_a_numbered_output_that_exists_is_refused_before_the_work(shell: "Shell") -> None:
    (shell.folder / "x-2.png").write_bytes(b"mine")
    assert "x-2.png" in shell.refused("txt2img", "x", "-o", "x.png", "--batch", "2")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("txt3img", "x"), "txt2img"),
        (("txt2img", "x", "--sampler", "../euler"), "euler"),
        (("txt2img", "x", "--scheduler", "karass"), "karras"),
        (("txt2img", "x", "--model", "emojj"), "emoji"),
        (("txt2img", "x", "--place", "unet"), "NAME=VALUE"),
        (("txt2img", "x", "--place", "unet=gpu"), "cpu"),
        (("txt2img", "x", "--place", "vae=cpu"), "vae_decoder"),
        (("txt2img", "x", "--dtype", "int4"), "float32"),
        (("txt2img", "x", "-O", "nonsense"), "NAME=VALUE"),
        (("txt2img", "x", "-O", "nonsense=1"), "nonsense"),
        (("txt2img", "x", "-O", "inpaint.strength=1"), "inpaint"),
        (("txt2img", "x", "--colour", "red"), "--colour"),
        (("txt2img", "x", "y"), "y"),
        (("inpaint", "x", "--mask", "mask.png"), "image"),
        (("inpaint", "x", "--image", "nowhere.png", "--mask", "nowhere.png"), "nowhere.png"),
        (("plugins", "--jsn"), "--jsn"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistyped_command_is_refused_in_one_line_with_what_is_legal(
    shell: "Shell", arguments: tuple[str, ...], word: str
) -> None:
    assert word in shell.refused(*arguments)
