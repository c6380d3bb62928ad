"""A model's hash: the digits that other programs write, kept until the model changes."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from latentry_images import hashing
from latentry_images.hashing import model_hash
from latentry_sdk import ModelHeader


def single(folder: Path, content: bytes = b"weights") -> ModelHeader:
    (folder / "one.safetensors").write_bytes(content)
    return ModelHeader(folder / "one.safetensors")


def diffusers_folder(folder: Path) -> ModelHeader:
    """With what is read, and with files beside it that are not."""
    for name in ("unet", "tokenizer", "notes", ".cache"):
        (folder / name).mkdir(parents=True)
    read = ["model_index.json", "unet/config.json", "unet/a.safetensors", "unet/b.safetensors"]
    read += ["tokenizer/merges.txt", "tokenizer/vocab.json"]
    beside = ["README.md", "notes/a.safetensors", "unet/a.fp16.safetensors", "unet/a.bin", ".cache/x.json"]
    for name in read + beside:
        (folder / name).write_text(f"this is {name}")
    index = {"_class_name": "X", "unet": ["diffusers", "U"], "tokenizer": ["transformers", "T"], "../": ["a"]}
    return ModelHeader(folder, index)


def test_a_files_hash_is_its_sha256(tmp_path: Path) -> None:
    assert model_hash(single(tmp_path), tmp_path / "cache") == hashlib.sha256(b"weights").hexdigest()


def test_a_folders_hash_is_what_sha256sum_gives_twice(tmp_path: Path) -> None:
    header = diffusers_folder(tmp_path / "model")
    read = "model_index.json tokenizer/merges.txt tokenizer/vocab.json unet/a.safetensors unet/b.safetensors"
    command = f"sha256sum {read} unet/config.json | sha256sum"
    said = subprocess.run(command, shell=True, cwd=header.path, capture_output=True, text=True, check=True)
    assert model_hash(header, tmp_path / "cache") == said.stdout.split()[0]


def test_any_file_that_is_read_changes_a_folders_hash_and_no_other_does(tmp_path: Path) -> None:
    header = diffusers_folder(tmp_path / "model")
    seen = {model_hash(header, tmp_path / "cache")}
    for name in ("README.md", "notes/a.safetensors", "unet/a.bin", "unet/a.fp16.safetensors"):
        (header.path / name).write_text("else")
        seen.add(model_hash(header, tmp_path / "cache"))
    assert len(seen) == 1
    for name in ("model_index.json", "unet/a.safetensors", "tokenizer/merges.txt"):
        (header.path / name).write_text("something else")
        seen.add(model_hash(header, tmp_path / "cache"))
    assert len(seen) == 4


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = model_hash(single(tmp_path), tmp_path / "cache")
    monkeypatch.setattr(hashing, "file_digest", lambda *given: pytest.fail("it was read again"))
    assert model_hash(ModelHeader(tmp_path / "one.safetensors"), tmp_path / "cache") == first


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_changed_file_is_read_again(tmp_path: Path, change: str) -> None:
    header = single(tmp_path)
    before = header.path.stat()
    first = model_hash(header, tmp_path / "cache")
    header.path.write_bytes(b"others" if change == "size" else b"WEIGHTS")
    later = before.st_mtime_ns + (10**9 if change == "time" else 0)
    os.utime(header.path, ns=(later, later))
    assert model_hash(header, tmp_path / "cache") != first


@pytest.mark.parametrize("left", ["", "[", "{}", "[]", '{"file": 1, "sha256": "x"}', '{"sha256": 1}'])
def test_a_damaged_entry_is_taken_again(tmp_path: Path, left: str) -> None:
    first = model_hash(single(tmp_path), tmp_path / "cache")
    (entry,) = (tmp_path / "cache" / "hashes").iterdir()
    whole = entry.read_text()
    entry.write_text(left)
    assert model_hash(single(tmp_path), tmp_path / "cache") == first
    assert entry.read_text().partition('"sha256"')[2] == whole.partition('"sha256"')[2]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert model_hash(single(tmp_path), tmp_path / "cache") == hashlib.sha256(b"weights").hexdigest()
