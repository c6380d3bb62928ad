"""Pictures that Latentry made are made again: equal to the last bit, or it is said what differs."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sd_parsers import ParserManager

import latentry_emoji
from latentry import Config, Host, Request
from latentry_replay.record import read_record
from latentry_sdk.records import read_texts

if TYPE_CHECKING:
    from tests.replay.conftest import Desk

TASKS = {
    "txt2img": ["txt2img", "a red apple on a blue background"],
    "img2img": ["img2img", "a pizza", "--image", "photo.png", "--strength", "0.6"],
    "inpaint": ["inpaint", "a pizza", "--image", "photo.png", "--mask", "mask.png", "--mask-blur", "2"],
}
PROMPT = (
    'a "red, apple": on blue\nSteps: 20, Sampler: Euler, CFG scale: 3, Seed: 5\nnegative \\ éé 🍎 (x:1.2)'
)


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("task", TASKS)
def test_a_picture_of_each_task_in_each_format_is_equal(desk: "Desk", task: str, form: str) -> None:
    desk.inputs()
    desk.make(*TASKS[task], "--seed", 7, "--batch", 2, "-o", f"made.{form}", "--negative", "green")
    said = desk("replay", f"made-2.{form}")
    assert (said.code, said.lines) == (0, ["equal"])


@pytest.mark.parametrize("place", [1, 2, 3])
@pytest.mark.parametrize("prompt", ["a red apple", "a {red|green|blue|yellow} {apple|pizza|car}"])
def test_each_image_of_a_varied_batch_is_equal(desk: "Desk", prompt: str, place: int) -> None:
    more = ["--variation-strength", "0.3", "--sampler", "euler_ancestral", "--batch", 3]
    desk.make("txt2img", prompt, "--seed", 11, "-o", "made.png", *more)
    assert desk.record("made-2.png")["seed"] == 11
    assert desk("replay", f"made-{place}.png").lines == ["equal"]


def test_choices_and_a_drawn_seed_replay(desk: "Desk") -> None:
    desk.make("txt2img", "a {red|green|blue|yellow} {apple|pizza|car}", "--batch", 2, "-o", "made.png")
    assert desk.record("made-1.png")["request"]["seed"] is None
    for name in ("made-1.png", "made-2.png"):
        assert desk("replay", name).lines == ["equal"]


def test_a_wildcard_that_reads_otherwise_now_is_told(desk: "Desk", tmp_path: Path) -> None:
    (tmp_path / "data" / "wildcards").mkdir(parents=True)
    lines = tmp_path / "data" / "wildcards" / "thing.txt"
    lines.write_text("apple")
    desk.make("txt2img", "a red __thing__", "--seed", 7, "-o", "made.png")
    assert desk("replay", "made.png").lines == ["equal"]
    lines.write_text("car")
    said = desk("replay", "made.png")
    assert (said.code, said.lines[:2]) == (1, ["different", "prompt: a red apple recorded, a red car here"])
    lines.unlink()
    said = desk("replay", "made.png")
    assert (said.code, said.stderr.splitlines()) == (2, [said.stderr.strip()])
    assert "unknown wildcard 'thing'" in said.stderr


def test_a_brownian_sampler_replays_with_its_options(desk: "Desk") -> None:
    more = ["--sampler", "dpmpp_sde", "--option", "dpmpp_sde.eta=0.5", "--scheduler", "karras"]
    desk.make("txt2img", "a car", *more, "--batch", 2, "-o", "made.png")
    assert desk("replay", "made-2.png").lines == ["equal"]


def test_an_optimizer_replays_with_its_component_and_its_options(desk: "Desk") -> None:
    more = ["--optimizers", "unet=group-offload", "--option", "group-offload.keep=7000000"]
    desk.make("txt2img", "a red apple", "--seed", 7, "-o", "made.png", *more)
    said = desk("replay", "made.png", "-o", "again.png")
    assert (said.code, said.lines[0]) == (0, "equal")
    applied = desk.record("again.png")["applied"]
    assert applied["optimizers"] == ["unet=group-offload"]
    assert applied["options"]["group-offload"]["keep"] == 7_000_000


def test_any_text_survives(desk: "Desk") -> None:
    desk.make("txt2img", PROMPT, "--negative", PROMPT, "-o", "made.png")
    assert desk("replay", "made.png").lines == ["equal"]
    told = json.loads(desk("info", "made.png", "--json").stdout)
    for section in ("latentry", "AUTOMATIC1111"):
        assert (told[section]["prompt"], told[section]["negative"]) == (PROMPT, PROMPT)
        assert str(told[section]["steps"]) == "4"


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_another_programs_library_reads_a_made_picture(desk: "Desk", form: str) -> None:
    desk.make("txt2img", PROMPT, "--seed", 9, "--sampler", "dpmpp_2m", "-o", f"made.{form}")
    info = ParserManager().parse(desk.folder / f"made.{form}")
    assert info is not None
    (sampler,) = info.samplers
    assert ([prompt.value for prompt in sampler.prompts], sampler.name) == ([PROMPT], "DPM++ 2M")
    assert (sampler.parameters["seed"], sampler.parameters["steps"]) == ("9", "4")
    assert sampler.model is not None
    assert sampler.model.name == "emoji64"
    assert len(sampler.model.hash or "") == 10


def test_a_second_model_replays_and_is_told_apart(desk: "Desk", tmp_path: Path) -> None:
    shutil.copytree(latentry_emoji.FOLDER, tmp_path / "models" / "second")
    index = tmp_path / "models" / "second" / "model_index.json"
    index.write_text(index.read_text().replace("{", '{"_name_or_path": "second",', 1))
    desk.make("txt2img", "a car", "--refiner", "second", "--switch-at", 0.5, "--seed", 7, "-o", "made.png")
    assert desk("replay", "made.png").lines == ["equal"]
    with desk.changed_record("made.png") as record:
        record["applied"]["further_models"]["refiner"]["sha256"] = "x"
        record["applied"]["options"]["refiner"]["refiner"] = "/elsewhere/second"
    first, *lines = desk("replay", "made.png").lines
    assert first == "equal"
    assert [line.partition(" recorded")[0] for line in lines] == [
        "model of refiner: x",
        "option refiner refiner: /elsewhere/second",
    ]
    with desk.changed_record("made.png") as record:
        record["applied"]["further_models"]["refiner"]["name"] = "third"
        record["applied"]["options"]["refiner"]["refiner"] = str(latentry_emoji.FOLDER.parent / "third")
    said = desk("replay", "made.png")
    assert (said.code, said.stdout) == (2, "")
    assert "unknown model" in said.stderr


def test_the_replay_is_written_and_equals_the_picture(desk: "Desk") -> None:
    desk.make("txt2img", "a car", "-o", "made.png")
    assert desk("replay", "made.png", "-o", "again.png").code == 0
    with Image.open("made.png") as made, Image.open("again.png") as again:
        assert made.tobytes() == again.tobytes()
    before = Path("again.png").read_bytes()
    said = desk("replay", "made.png", "-o", "again.png")
    assert (said.code, len(said.stderr.splitlines())) == (2, 1)
    assert Path("again.png").read_bytes() == before
    assert desk("replay", "made.png", "-o", "again.png", "--force").code == 0
    assert desk("replay", "made.png", "-o", "none/again.png").code == 2


def _versions(record: Any) -> None:
    record["applied"]["plugins"] |= {"latentry-samplers": "0.0.9", "latentry-gone": "3.2"}
    record["applied"]["libraries"]["torch"] = "2.6.0"
    record["latentry"] = "0.0.1"


def _model(record: Any) -> None:
    record["applied"]["model"]["sha256"] = "31e35c80fc" + "0" * 54


def _device(record: Any) -> None:
    record["applied"]["placements"]["unet"] = "hologram"
    record["applied"]["dtypes"]["unet"] = "float16"
    record["request"]["dtype"] = "float16"


def _owner(record: Any) -> None:
    record["applied"]["options"]["telepathy"] = {"reach": 3}


CHANGES: dict[str, tuple[Any, list[str]]] = {
    "versions": (
        _versions,
        [
            "latentry: 0.0.1 recorded, 0.1.0 here",
            "plugin latentry-gone: 3.2 recorded, none here",
            "plugin latentry-samplers: 0.0.9 recorded, 0.1.0 here",
            "library torch: 2.6.0 recorded, TORCH here",
        ],
    ),
    "model": (_model, [f"model hash: 31e35c80fc{'0' * 54} recorded, HASH here"]),
    "device": (
        _device,
        ["device of unet: hologram recorded, cpu here", "dtype of unet: float16 recorded, float32 here"],
    ),
    "options": (_owner, ['options of telepathy: {"reach": 3} recorded, none here']),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_record_says_and_is_not_so_here_is_told(desk: "Desk", change: str) -> None:
    desk.make("txt2img", "a car", "--seed", 7, "-o", "made.png")
    true = desk.record("made.png")["applied"]
    alter, lines = CHANGES[change]
    with desk.changed_record("made.png") as record:
        alter(record)
    said = desk("replay", "made.png")
    known = {"TORCH": true["libraries"]["torch"], "HASH": true["model"]["sha256"]}
    for word, value in known.items():
        lines = [line.replace(word, value) for line in lines]
    assert (said.code, said.lines) == (0, ["equal", *lines])


def test_another_seed_gives_other_pixels_and_the_exit_code_1(desk: "Desk") -> None:
    desk.make("txt2img", "a car", "--seed", 7, "-o", "made.png")
    desk.make("txt2img", "a car", "--seed", 8, "-o", "other.png")
    with desk.changed_record("made.png") as record:
        record["seed"] = 8
    said = desk("replay", "made.png")
    with Image.open("made.png") as made, Image.open("other.png") as other:
        apart = np.abs(np.asarray(made, int) - np.asarray(other, int)).max(axis=2)
    count, largest = int((apart > 0).sum()), int(apart.max())
    line = f"pixels: {count} of 4096 differ, by {largest} of 255 at most"
    assert (said.code, said.lines) == (1, ["different", line])
    told = json.loads(desk("replay", "made.png", "--json").stdout)
    assert told["pixels"] == {"differing": count, "total": 4096, "largest": largest, "sizes": None}
    assert told["equal"] is False


def test_another_size_is_told(desk: "Desk") -> None:
    desk.make("txt2img", "a car", "--seed", 7, "-o", "made.png")
    with desk.changed_record("made.png") as record:
        record["request"]["width"] = 128
    said = desk("replay", "made.png")
    assert (said.code, said.lines) == (1, ["different", "size: 64 × 64 recorded, 128 × 64 here"])


def test_inputs_are_found_beside_the_picture_by_their_content_or_given(desk: "Desk") -> None:
    desk.inputs()
    desk.make(*TASKS["inpaint"], "--seed", 7, "-o", "made.png")
    Path("photo.png").rename("holiday 7.png")
    Path("mask.png").rename("elsewhere.PNG")
    assert desk("replay", "made.png").lines == ["equal"]
    Path("away").mkdir()
    shutil.move("elsewhere.PNG", "away/mask.png")
    said = desk("replay", "made.png")
    assert (said.code, said.stdout) == (2, "")
    assert "the inputs 'mask' ('sha256:" in said.stderr
    assert "give them by --mask" in said.stderr
    assert "image" not in said.stderr.partition("the inputs")[2]
    assert desk("replay", "made.png", "--mask", "away/mask.png").lines == ["equal"]


def test_another_input_is_told(desk: "Desk") -> None:
    desk.inputs()
    desk.make(*TASKS["img2img"], "--seed", 7, "-o", "made.png")
    with Image.open("photo.png") as photo:
        photo.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save("flipped.png")
    said = desk("replay", "made.png", "--image", "flipped.png")
    assert said.code == 1
    assert said.lines[1].startswith("input image: sha256:")
    assert said.lines[2].startswith("pixels: ")


def test_what_the_configuration_says_now_changes_no_replay(desk: "Desk", tmp_path: Path) -> None:
    desk.make("txt2img", "a car", "--seed", 7, "-o", "made.png")
    config = "[options.prompt]\nclip_skip = 1\n[options.variation]\nvariation_strength = 0.5\n"
    (tmp_path / "config.toml").write_text(config)
    desk.make("txt2img", "a car", "--seed", 7, "-o", "configured.png")
    assert desk("replay", "made.png").lines == ["equal"]
    (tmp_path / "config.toml").unlink()
    assert desk("replay", "configured.png").lines == ["equal"]


def test_the_record_names_what_took_part() -> None:
    with Host(config=Config()) as host:
        result = host.run(Request(task="txt2img", prompt="a car", steps=1, seed=1, sampler="heun"))
        records = {record.distribution: record.version for record in host.records}
    record = read_record(read_texts(result.artifacts[0].data, "it", 10_000))
    assert record is not None
    needed = {f"latentry-{name}" for name in ("cpu", "images", "prompt", "samplers", "schedules", "txt2img")}
    assert needed | {"latentry-stable-diffusion"} <= record.applied.plugins.keys()
    assert "latentry-inpaint" not in record.applied.plugins
    assert {name: records[name] for name in record.applied.plugins} == record.applied.plugins
    assert record.applied.dtypes["unet"] == "float32"
