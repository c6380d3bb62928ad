"""Records that are damaged, hostile or absurd end in one line, in bounded time."""

import io
import json
import os
import struct
import zlib
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.replay.conftest import Desk

SECONDS = 20.0
"""A refusal takes milliseconds; the bound is for machines that do other things as well."""

GOOD: dict[str, Any] = {
    "latentry": "0.1.0",
    "request": {"task": "txt2img", "prompt": "a car", "steps": 1},
    "index": 0,
    "seed": 1,
    "applied": {
        "model": {"name": "emoji64"},
        "sampler": "euler",
        "scheduler": "normal",
        "format": "png",
        "options": {},
        "placements": {},
    },
}


def refused(desk: "Desk", *arguments: object) -> str:
    """The one line that a command ends with."""
    began = perf_counter()
    said = desk(*arguments)
    assert perf_counter() - began < SECONDS
    assert (said.code, said.stdout) == (2, ""), said
    (line,) = said.stderr.splitlines()
    assert len(line) < 1000
    assert line.isprintable()
    return line


def changed(path: str, value: Any) -> str:
    """The good record with one thing changed, by its path with dots."""
    record = json.loads(json.dumps(GOOD))
    *inner, last = path.split(".")
    place = record
    for name in inner:
        place = place[name]
    place[last] = value
    return json.dumps(record)


def test_the_good_record_is_good(desk: "Desk") -> None:
    desk.grey("made.png", {"latentry": json.dumps(GOOD)})
    assert desk("replay", "made.png").code == 1


DAMAGED = {
    "empty": "",
    "cut short": json.dumps(GOOD)[:-9],
    "a list": "[]",
    "a number": "1e999",
    "no JSON": "{'latentry': 1}",
    "nested": "[" * 100_000,
    "an option nested 900 deep": changed("applied.options", {"x": {"y": 1}}).replace(
        '"y": 1', f'"y": {"[" * 900}{"]" * 900}'
    ),
    "a huge number": f'{{"latentry": {"9" * 10_000}}}',
    "no request": json.dumps({"latentry": "0.1.0"}),
    "a request of another kind": changed("request", [1]),
    "a negative seed": changed("seed", -1),
    "a seed too large": changed("seed", 2**64),
    "a seed of another kind": changed("seed", True),
    "an index that is not there": changed("index", 64),
    "an index beyond its prompts": changed("applied.prompts", []).replace('"index": 0', '"index": 99'),
    "prompts of another kind": changed("applied.prompts", [1]),
    "fewer variations than images": changed("applied.variation", {"strength": 0.1, "seeds": [1]}).replace(
        '"index": 0', '"index": 1'
    ),
    "a strength that is no number": changed("applied.variation", {"strength": float("nan"), "seeds": [1]}),
    "options of another kind": changed("applied.options", {"prompt": 3}),
    "a model of another kind": changed("applied.model", "emoji64"),
}


@pytest.mark.parametrize("command", ["info", "replay"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_record_is_one_line(desk: "Desk", damage: str, command: str) -> None:
    desk.grey("made.png", {"latentry": DAMAGED[damage]})
    assert "record" in refused(desk, command, "made.png")


ABSURD = {
    "an unknown field": ("request.mood", "blue", "unknown option 'mood'"),
    "an unknown task": ("request.task", "../txt2img", "unknown task"),
    "an unknown sampler": ("applied.sampler", "eu\x1b[31mler", "unknown sampler"),
    "an unknown schedule": ("applied.scheduler", "\u202eslamron", "unknown scheduler"),
    "a million steps": ("request.steps", 10**6, "steps"),
    "too many pixels": ("request.width", 10**6, "width"),
    "a format that is none": ("applied.format", "../../etc/passwd", "format"),
    "an unknown option": ("applied.options", {"prompt": {"mood": 1}}, "unknown option 'mood'"),
    "an option out of range": ("applied.options", {"prompt": {"clip_skip": 99}}, "clip_skip"),
    "a place that is none": ("applied.quantizers", {"unet": "x:y"}, "quantizer"),
    "inputs of a task without": ("request.inputs", {"image": "sha256:00"}, "'image' ('sha256:00'…)"),
    "an optimizer that is none": ("applied.optimizers", ["x"], "optimizer"),
}


@pytest.mark.parametrize("case", ABSURD)
def test_what_cannot_be_run_is_one_line_that_says_so(desk: "Desk", case: str) -> None:
    path, value, message = ABSURD[case]
    desk.grey("made.png", {"latentry": changed(path, value)})
    assert message in refused(desk, "replay", "made.png")


PATHS = [
    "../secret",
    "/etc/passwd",
    "C:\\secret",
    "\\\\host\\share",
    "%2e%2e/x",
    "~",
    ".",
    "..",
    "a\0b",
    "x" * 5000,
]


@pytest.mark.parametrize("path", PATHS, ids=ascii)
def test_no_path_in_a_record_is_followed(desk: "Desk", path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[str] = []
    real = os.stat

    def watched(name: Any, *more: Any, **others: Any) -> Any:
        touched.append(str(name))
        return real(name, *more, **others)

    monkeypatch.setattr(os, "stat", watched)
    record = json.loads(changed("request.model", path))
    record["applied"]["model"]["name"] = path
    desk.grey("made.png", {"latentry": json.dumps(record)})
    assert "unknown model" in refused(desk, "replay", "made.png")
    assert path not in touched


def test_a_models_path_counts_by_its_last_part(desk: "Desk") -> None:
    desk.grey("made.png", {"latentry": changed("request.model", "/somewhere/else/emoji64")})
    assert desk("replay", "made.png").code == 1


FOREIGN = {
    "AUTOMATIC1111": ["Steps: ", "Steps: 1",
                      "Negative prompt: b\nNegative prompt: c\nSteps: 1, Sampler: x, Seed: 1",
                      "x\nSteps: many, Sampler: Euler, Seed: one, CFG scale: nan",
                      "Hashes:{" * 50_000 + "\nSteps: 1, Sampler: Euler, Seed: 1",
                      "Steps: " * 200_000],
    "ComfyUI": ["", "[]", "{", '{"1": 2}', "[" * 100_000,
                '{"3": {"class_type": "A", "inputs": {"sampler_name": [], "steps": {}, "cfg": []}}}'],
    "InvokeAI": ["", '{"scheduler": "euler", "x": ' + "[" * 900 + "]" * 900 + "}",
                 "[]", "{}", "3", '{"scheduler": {"a": []}, "steps": [1]}', "[" * 100_000],
}  # fmt: skip


@pytest.mark.parametrize(("program", "text"), [(name, text) for name in FOREIGN for text in FOREIGN[name]])
def test_a_damaged_record_of_another_program_is_one_line(desk: "Desk", program: str, text: str) -> None:
    name = {"AUTOMATIC1111": "parameters", "ComfyUI": "prompt", "InvokeAI": "invokeai_metadata"}[program]
    desk.grey("theirs.png", {name: text})
    assert program in refused(desk, "replay", "theirs.png")


@pytest.mark.parametrize(("count", "code"), [(300, 0), (301, 2), (2000, 2)])
def test_a_graph_with_many_samplers_in_a_ring_ends(desk: "Desk", count: int, code: int) -> None:
    node = {"steps": 1, "cfg": 1, "sampler_name": "euler", "seed": 1}
    graph = {
        str(each): {
            "class_type": "KSampler",
            "inputs": {
                **node,
                **{key: [str((each + 1) % count), 0] for key in ("model", "positive", "negative")},
            },
        }
        for each in range(count)
    }
    links = [[each, (each + 1) % count, 0, each, 0, "CONDITIONING"] for each in range(count)]
    desk.grey("theirs.png", {"prompt": json.dumps(graph), "workflow": json.dumps({"links": links})})
    began = perf_counter()
    assert desk("info", "theirs.png").code == code
    assert perf_counter() - began < SECONDS


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk before its pixels."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    whole = file.getvalue()
    start = whole.index(b"IDAT") - 4
    return whole[:start] + chunk(kind, data) + whole[start:]


BOMBS = {
    "100 MB of text": lambda: with_chunk(b"tEXt", b"latentry\0" + bytes(100_000_000)),
    "30 MB of text": lambda: with_chunk(b"tEXt", b"latentry\0" + b"[" * 30_000_000),
    "packed text": lambda: with_chunk(b"zTXt", b"latentry\0\0" + zlib.compress(b"[" * 200_000_000, 9)),
    "packed other text": lambda: with_chunk(
        b"iTXt", b"latentry\0\1\0\0\0" + zlib.compress(b"[" * 200_000_000, 9)
    ),
    "no picture": lambda: b"<html>",
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("command", ["info", "replay"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_one_line(desk: "Desk", bomb: str, command: str) -> None:
    Path("bomb.png").write_bytes(BOMBS[bomb]())
    refused(desk, command, "bomb.png")


def test_a_picture_that_is_no_file_is_one_line(desk: "Desk") -> None:
    os.mkfifo("pipe.png")
    for name in ("none.png", ".", "pipe.png", "x" * 5000):
        refused(desk, "info", name)
        refused(desk, "replay", name)


def test_a_picture_that_says_nothing(desk: "Desk") -> None:
    Image.new("RGB", (8, 8)).save("plain.png")
    exif = Image.Exif()
    exif[0x010E] = "OLYMPUS DIGITAL CAMERA"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0a fine day"
    Image.new("RGB", (8, 8)).save("photo.jpg", exif=exif)
    for name in ("plain.png", "photo.jpg"):
        assert desk("info", name).lines == [f"picture: {name}", "it says nothing of how it was made"]
        assert "says nothing of how it was made" in refused(desk, "replay", name)


def test_what_a_picture_says_cannot_command_a_terminal(desk: "Desk") -> None:
    evil = "a\x1b]0;owned\x07 \x9b31m\u202e\r\n b"
    desk.grey("made.png", {"latentry": changed("request.prompt", evil)})
    for arguments in (["info", "made.png"], ["info", "made.png", "--json"]):
        said = desk(*arguments)
        assert said.code == 0
        assert all(char.isprintable() or char == "\n" for char in said.stdout)
    assert json.loads(said.stdout)["latentry"]["prompt"] == evil
