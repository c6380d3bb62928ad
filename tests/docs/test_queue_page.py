"""docs/queue.md names every setting of the store with its default, and tests that are there."""

import re
from pathlib import Path

from latentry_store_sql.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "queue.md").read_text(encoding="utf-8")


def test_the_table_has_every_setting_with_its_default_and_no_other() -> None:
    rows = re.findall(r"^\| `(LATENTRY_\w+)` \| (\S+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (f"LATENTRY_{name.upper()}", "–" if field.default is None else str(field.default), field.description)
        for name, field in Settings.model_fields.items()
    ]


def test_the_promises_name_tests_that_are_there() -> None:
    named = re.findall(r"`(plugins/[\w/.-]*test_\w+\.py)` \|$", PAGE, re.MULTILINE)
    assert len(named) == PAGE.count("plugins/latentry-store-sql/tests/")
    assert [path for path in named if not (ROOT / path).is_file()] == []
