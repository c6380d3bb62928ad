"""docs/openai.md: its examples run against a server, and its tables say what there is."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from latentry_api_openai.asking import OTHER_NAMES, STEPS, Asked, Edit, Generation

if TYPE_CHECKING:
    from tests.server.conftest import Started

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "openai.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^<!-- openai -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OWN = {"steps", "seed", "negative_prompt", "guidance", "sampler", "scheduler", "options"}
"""What OpenAI's API has no word for."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_examples_run(server: "Started", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64), "teal").save("photo.png")
    mask = Image.new("RGBA", (64, 64), "black")
    mask.paste((0, 0, 0, 0), (16, 16, 48, 48))
    mask.save("mask.png")
    names: dict[str, Any] = {}
    for example in EXAMPLE.findall(PAGE):
        code = example.replace("http://127.0.0.1:8585", server.url)
        exec(compile(code, "openai.md", "exec"), names)
    names["client"].close()
    assert sorted(path.name for path in tmp_path.glob("apple*")) == [
        *("apple-1.png", "apple-2.png", "apple.png")
    ]
    with Image.open("apple-2.png") as apple:
        assert apple.size == (64, 64)


def test_every_python_block_is_an_example() -> None:
    assert len(EXAMPLE.findall(PAGE)) == PAGE.count("```python") > 0


def test_the_table_has_every_parameter_and_no_other() -> None:
    table = PAGE[PAGE.index("| parameter |") :].split("\n\n")[0]
    cells = re.findall(r"^\| ((?:`\w+` ?)+)\|", table, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted({*Generation.model_fields, *Edit.model_fields} - OWN)
    for name in OWN:
        assert name in Asked.model_fields
        assert f"`{name}`" in PAGE[: PAGE.index("## Edits")]


def test_the_steps_of_each_quality_are_as_told() -> None:
    (row,) = re.findall(r"^\| `quality` \|.*$", PAGE, re.MULTILINE)
    assert {name: int(steps) for name, steps in re.findall(r"`(\w+)` (\d+)", row)} == STEPS
    assert set(re.findall(r"`(\w+)`", row)) == {"quality", "steps", *STEPS, *OTHER_NAMES}
