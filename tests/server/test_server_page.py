"""docs/server.md: its examples run, and its tables say what there is."""

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from latentry_api.errors import type_of
from latentry_sdk import LatentryError

if TYPE_CHECKING:
    from tests.server.conftest import Started

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^<!-- server -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OF_NO_CLASS = {"out_of_memory", "internal_error", "queue_timeout", "attempts_exhausted"}
MODULES = ("latentry_sdk", "latentry_sdk.queue", "latentry_sdk.service", "latentry_api.errors")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_examples_run(server: "Started", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64), "teal").save("photo.png")
    Image.new("L", (64, 64), "white").save("mask.png")
    names: dict[str, Any] = {}
    states = []
    for example in EXAMPLE.findall(PAGE):
        exec(compile(example.replace("http://127.0.0.1:8585", server.url), "server.md", "exec"), names)
        states.append(names["job"]["status"])
    names["client"].close()
    assert states[:2] == ["done", "done"]
    assert names["picture"].startswith(b"\x89PNG")
    assert names["seen"][:2] == ["queued", "running"]
    assert names["seen"][-1] == "done"
    assert "preview" in names["seen"]


def test_every_python_block_is_an_example() -> None:
    assert len(EXAMPLE.findall(PAGE)) == PAGE.count("```python") > 0


def test_every_type_of_error_is_one_that_the_server_gives() -> None:
    kinds = [vars(import_module(name)).values() for name in MODULES]
    errors = {
        kind
        for found in kinds
        for kind in found
        if isinstance(kind, type) and issubclass(kind, LatentryError)
    }
    known = {type_of(kind.__new__(kind)) for kind in errors} | OF_NO_CLASS
    part = PAGE[PAGE.index("## Errors") : PAGE.index("## Stopping")]
    named = set(re.findall(r"`([a-z]+_[a-z]+|draining|unavailable)`", part))
    assert named
    assert named <= known


@pytest.mark.slow
def test_the_table_has_every_path_and_no_other(server: "Started") -> None:
    document = server.client.get("/openapi.json").json()
    own = {path for path in document["paths"] if path.startswith("/api/v1/")}
    table = PAGE[PAGE.index("| path |") :].split("\n\n")[0]
    cells = re.findall(r"^\| (.+?) \| ", table, re.MULTILINE)[1:]
    named = {f"/api/v1{path}" for cell in cells for path in re.findall(r"(/[\w/{}]+)`", cell)}
    assert named - {"/api/v1/socket"} == own


def test_the_promises_name_tests_that_are_there() -> None:
    named = re.findall(r"`((?:tests|plugins)/[\w/.-]+\.py)`", PAGE[PAGE.index("## Promises") :])
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []
