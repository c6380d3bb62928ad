"""The page about other models says what is tested."""

import re
from pathlib import Path

import pytest

from latentry_diffusers.abilities import ability

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")  # of diffusers in its Chroma
PAGE = Path(__file__).parents[3] / "docs" / "other-models.md"
ROW = re.compile(r"^\| [^|]+ \| `(?P<kind>\w+)` \| (?P<tasks>[^|:]+)(?::[^|]+)? \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def rows():
    """The tasks of each class, as the page's table has them."""
    return {row["kind"]: row["tasks"].split(", ") for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))}


def test_the_table_has_the_classes_that_are_compared_with_diffusers(rows, makers):
    assert sorted(rows) == sorted(type(make()).__name__ for make in makers.values())


def test_the_table_has_the_tasks_of_each_class(rows):
    for kind, tasks in rows.items():
        assert tasks == [task for task in ("txt2img", "img2img", "inpaint") if ability(kind, task)]
