"""The prompt syntax on the whole way, with the embedded model that draws what it is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentry import Config, Host, Request, Result, UserError

SEED = 7


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """All plugins, on folders of its own."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "wildcards").mkdir()
    (folder / "wildcards" / "colour.txt").write_text("red\nblue\n")
    (folder / "styles.csv").write_text("name,prompt,negative_prompt\nblue,{prompt} on a blue background,\n")
    config = Config(models_dir=folder / "models", data_dir=folder, cache_dir=folder / "cache")
    with Host(config=config) as host:
        yield host


def run(host: Host, prompt: str, **asked: Any) -> Result:
    fields = {"steps": 12, "guidance": 4, "seed": SEED, **asked}
    return host.run(Request(task="txt2img", prompt=prompt, **fields))


def pixels(result: Result, index: int = 0) -> Any:
    return np.asarray(result.artifacts[index].open(), int)


def corner(result: Result, index: int = 0) -> tuple[int, ...]:
    """The colour of the background: the mean of the four corners."""
    found = pixels(result, index)
    return tuple(np.mean([found[y, x] for y in (0, -1) for x in (0, -1)], axis=0).astype(int))


def test_a_prompt_without_syntax_is_what_it_was(host: Host) -> None:
    plain = run(host, "a red apple on a blue background")
    red, _, blue = corner(plain)
    assert blue > red + 60
    assert "prompts" not in plain.applied


def test_weights_count(host: Host) -> None:
    plain, heavy, none = (
        pixels(run(host, f"a red apple on a {word} background"))
        for word in ("blue", "(blue:1.3)", "(blue:1)")
    )
    assert np.array_equal(plain, none)
    assert not np.array_equal(plain, heavy)


def test_a_schedule_switches_the_background(host: Host) -> None:
    early = corner(run(host, "a red apple on a [blue:red:2] background"))
    late = corner(run(host, "a red apple on a [blue:red:11] background"))
    assert early[0] > early[2]
    assert late[2] > late[0]


def test_a_schedule_that_never_switches_changes_nothing(host: Host) -> None:
    plain = pixels(run(host, "a red apple on a blue background"))
    assert np.array_equal(plain, pixels(run(host, "a red apple on a [blue:red:99] background")))


def test_choices_are_drawn_by_each_images_seed_and_recorded(host: Host) -> None:
    batch = run(host, "a red apple on a {blue|red} background", batch=4)
    said = [each["prompt"] for each in batch.applied["prompts"]]
    assert set(said) == {f"a red apple on a {colour} background" for colour in ("red", "blue")}
    for index, prompt in enumerate(said):
        alone = run(host, "a red apple on a {blue|red} background", seed=SEED + index)
        assert alone.applied["prompts"][0]["prompt"] == prompt
        assert np.array_equal(pixels(batch, index), pixels(alone))
        assert np.array_equal(pixels(alone), pixels(run(host, prompt, seed=SEED + index)))
        record = batch.artifacts[index].open().info["parameters"]
        assert record.splitlines()[0] == prompt


def test_wildcards_and_styles_come_from_the_data_folder(host: Host) -> None:
    drawn = run(host, "a red apple on a __colour__ background").applied["prompts"][0]["prompt"]
    assert drawn in ("a red apple on a red background", "a red apple on a blue background")
    styled = run(host, "a red apple", options={"prompt": {"styles": ["blue"]}})
    assert styled.applied["prompts"][0]["prompt"] == "a red apple on a blue background"
    assert np.array_equal(pixels(styled), pixels(run(host, "a red apple on a blue background")))


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        ("a __color__ apple", {}, "unknown wildcard 'color'; known: colour"),
        ("a", {"styles": ["red"]}, "unknown style 'red'; known: blue"),
        ("a", {"clip_skip": 12}, "clip_skip"),
        ("a", {"clip_skip": -1}, "clip_skip"),
        ("a", {"clip_skip": 11}, "can leave out"),
        ("a", {"prompt_2": "x" * 100_001}, "prompt_2"),
    ],
)
def test_a_mistake_is_one_line(host: Host, prompt: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        run(host, prompt, options={"prompt": options})
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_two_encoders_can_be_guided_apart(host: Host) -> None:
    prompt = "a red apple on a blue background"

    def guided(second: float | None) -> Any:
        options = {} if second is None else {"stable-diffusion.denoise": {"guidance_2": second}}
        return pixels(run(host, prompt, options=options))

    assert np.abs(guided(4.0) - guided(None)).max() <= 1  # equal but for rounding
    assert np.abs(guided(1.0) - guided(None)).max() > 10
    with pytest.raises(UserError, match="guidance_2"):
        run(host, prompt, guidance=1, options={"stable-diffusion.denoise": {"guidance_2": 2}})


def test_a_record_can_be_read_whatever_the_prompt(host: Host, tmp_path: Path) -> None:
    result = run(host, "((((\n[a:b:]\\(BREAK __ {|", steps=1)
    result.artifacts[0].save(tmp_path / "a.png")
    assert json.loads(result.artifacts[0].open().info["latentry"])["seed"] == SEED
