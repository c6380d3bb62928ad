"""docs/a1111.md: its examples run against a server, and its tables are the code's."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from pydantic.fields import FieldInfo

from latentry_api_a1111.fields import Asked, Img2Img, Txt2Img
from latentry_api_a1111.settings import FIXED, HIDDEN
from latentry_api_a1111.solving import CHOSEN

if TYPE_CHECKING:
    from tests.server.conftest import Started

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "a1111.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^<!-- a1111 -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown(default: object) -> str:
    if default is None or default in ((), {}, ""):
        return "–"
    if isinstance(default, bool):
        return str(default).lower()
    return f"`{default}`" if isinstance(default, str) else f"{default:g}"


def rows(heading: str) -> list[tuple[str, str, str]]:
    """The table of fields that follows a heading."""
    part = PAGE[PAGE.index(f"\n{heading}\n") :]
    table = part[part.index("| field |") :].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \| (\S+) \| (.+) \|$", table, re.MULTILINE)


def declared(fields: Iterable[tuple[str, FieldInfo]]) -> list[tuple[str, str, str]]:
    return [(name, shown(field.default), field.description or "") for name, field in fields]


def own(kind: type[Asked]) -> list[tuple[str, str, str]]:
    return declared(
        (name, field) for name, field in kind.model_fields.items() if name not in Asked.model_fields
    )


def test_the_tables_have_every_field_as_the_code_has_it() -> None:
    assert rows("## Fields") == declared(Asked.model_fields.items())
    assert rows("### txt2img") == own(Txt2Img)
    assert rows("### img2img") == own(Img2Img)


def test_the_settings_are_those_of_the_code() -> None:
    part = PAGE[PAGE.index("| setting |") :].split("\n\n")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|$", part, re.MULTILINE))
    wanted = {name: legal[0] for name, legal in FIXED.items() if name not in HIDDEN}
    assert told == {name: shown(value).strip("`") for name, value in wanted.items()}


def test_what_automatic_takes_is_told() -> None:
    (told,) = re.findall(r"Karras for (.+), Exponential for (.+),\nthe levels of DDIM for (\S+), and", PAGE)
    named = [set(re.findall(r"`(\w+)`", part)) for part in told]
    levels = ("karras", "exponential", "ddim_uniform")
    assert named == [{name for name, scheduler in CHOSEN.items() if scheduler == each} for each in levels]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_path_of_the_server_is_named_and_no_other(server: "Started") -> None:
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    mine = {path.removeprefix("/sdapi/v1/") for path in paths if path.startswith("/sdapi/v1/")}
    others = {path for path in paths if path.startswith(("/controlnet/", "/queue/"))}
    words = set(re.findall(r"`(?:GET |POST )?([/\w-]+)`", PAGE))
    headings = set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE))
    assert (mine | others) - words - headings == set()
    part = PAGE[PAGE.index("| path | gives |") :].split("\n\n")[0]
    cells = re.findall(r"^\| ((?:`[\w-]+` ?)+)\|", part, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)} <= mine


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_examples_run(server: "Started", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64), "teal").save("photo.png")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (24, 24, 40, 40))
    mask.save("mask.png")
    names: dict[str, Any] = {}
    for example in EXAMPLE.findall(PAGE):
        code = example.replace("8585", str(urlsplit(server.url).port))
        exec(compile(code, "a1111.md", "exec"), names)
    with Image.open("apple.png") as apple, Image.open("pizza.png") as pizza, Image.open("photo.png") as photo:
        assert apple.size == (64, 64)
        before, after = np.asarray(photo), np.asarray(pizza)
    assert (before[:10] == after[:10]).all()
    assert (before[28:36, 28:36] != after[28:36, 28:36]).any()


def test_every_python_block_is_an_example() -> None:
    assert len(EXAMPLE.findall(PAGE)) == PAGE.count("```python") > 0
