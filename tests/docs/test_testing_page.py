"""docs/testing-a-plugin.md: its suite runs and passes, its table is whole, and its entry point is real."""

import re
import tomllib
from pathlib import Path

import pytest

from latentry_sdk import testing
from latentry_sdk.testing.running import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing-a-plugin.md").read_text(encoding="utf-8")


def block(language: str, mark: str = "") -> str:
    above = f"<!-- {mark} -->\n" if mark else ""
    (found,) = re.findall(rf"{above}```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.slow
def test_the_suite_that_is_shown_passes(tmp_path: Path) -> None:
    (tmp_path / "shown.py").write_text(block("python", "suite"))
    outcomes = run([str(tmp_path / "shown.py")])
    assert [outcome for outcome in outcomes if outcome.status == "failed"] == []
    assert len([outcome for outcome in outcomes if outcome.status == "passed"]) > 15


def test_the_table_has_every_suite_and_what_can_be_overridden() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)
    suites = [name for name in testing.__all__ if re.search("Suite$|Contract$", name)]
    assert sorted(name for name, _ in rows) == sorted(suites)
    for name, listed in rows:
        suite = getattr(testing, name)
        assert [each for each in re.findall(r"`(\w+)`", listed) if not hasattr(suite, each)] == []


def test_the_entry_point_is_that_of_the_plugin() -> None:
    shown = tomllib.loads(block("toml"))["project"]["entry-points"]
    about = (ROOT / "plugins" / "latentry-samplers" / "pyproject.toml").read_text(encoding="utf-8")
    points = tomllib.loads(about)["project"]["entry-points"]
    assert {group: points[group] for group in shown} == shown


def test_what_it_says_lies_in_a_folder_is_there() -> None:
    for path in re.findall(r"`(sdk/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path
