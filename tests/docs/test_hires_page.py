"""docs/hires.md names every option with its default, and every upscaler."""

import re
from pathlib import Path
from typing import get_args

import latentry_hires
from latentry_hires.options import Upscaler

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hires.md").read_text(encoding="utf-8")


def shown(default: object) -> str:
    if isinstance(default, str):
        return f"`{default}`"
    return "off" if default is False else "–" if default in (None, {}) else f"{default:g}"


def test_the_table_has_every_option_with_its_default_and_no_other() -> None:
    (task,) = latentry_hires.register_tasks()
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert rows == [(name, shown(field.default)) for name, field in task.options.model_fields.items()]


def test_every_upscaler_is_named_in_order() -> None:
    table = PAGE[PAGE.index("| upscaler |") : PAGE.index("## From Python")]
    cells = re.findall(r"^\| ((?:`\w+` ?)+)\|", table, re.MULTILINE)
    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == list(get_args(Upscaler))
