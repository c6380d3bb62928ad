"""The embedded model is found, is whole, and is safe to open."""

import stat
from math import prod

import pytest

import latentry_emoji
from latentry_sdk import read_header

WEIGHTS = ("text_encoder", "text_encoder_2", "unet", "vae")


@pytest.mark.parametrize("ref", [None, "emoji"])
def test_it_is_found_by_its_name_and_as_the_default(ref: str | None) -> None:
    assert latentry_emoji.find_model(ref) == latentry_emoji.FOLDER


@pytest.mark.parametrize("ref", ["", "Emoji", "emoji64", "../emoji", "model/emoji"])
def test_another_name_is_left_to_other_plugins(ref: str) -> None:
    assert latentry_emoji.find_model(ref) is None


def test_it_is_listed_where_it_is() -> None:
    (entry,) = latentry_emoji.list_models()
    assert (entry.name, entry.path) == ("emoji", latentry_emoji.FOLDER)


def test_its_header_is_an_sdxl_inpainting_pipeline_whose_weights_are_whole() -> None:
    header = read_header(latentry_emoji.FOLDER)
    assert header.index["_class_name"] == "StableDiffusionXLInpaintPipeline"
    assert header.config("unet")["in_channels"] == 9
    parts = [header.tensors(part).values() for part in WEIGHTS]
    assert all(sum(prod(tensor.shape) for tensor in part) > 100_000 for part in parts)


def test_its_files_are_plain_and_readable_by_all() -> None:
    files = [file for file in latentry_emoji.FOLDER.rglob("*") if not file.is_dir()]
    assert len(files) > 10
    for file in files:
        mode = file.lstat().st_mode
        assert stat.S_ISREG(mode)
        assert mode & 0o444 == 0o444
        assert not mode & 0o111
