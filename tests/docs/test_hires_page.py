"""docs/hires.md names every option of both plugins with its default, and every upscaler."""

import re
from pathlib import Path
from typing import get_args

import latentry_hires
import latentry_refiner
from latentry_hires.options import Upscaler
from latentry_sdk import Options

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hires.md").read_text(encoding="utf-8")


def shown(default: object) -> str:
    if isinstance(default, str):
        return f"`{default}`"
    return "off" if default is False else "–" if default in (None, {}) else f"{default:g}"


def rows(table: str) -> list[tuple[str, str]]:
    """The options and defaults of the table whose first line begins so."""
    part = PAGE[PAGE.index(table) :].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \| (\S+) \| [^|]+ \|$", part, re.MULTILINE)


def declared(options: type[Options]) -> list[tuple[str, str]]:
    return [(name, shown(field.default)) for name, field in options.model_fields.items()]


def test_the_tables_have_every_option_with_its_default_and_no_other() -> None:
    (task,) = latentry_hires.register_tasks()
    assert rows("| option |") == declared(task.options)
    (stage,) = (stage for stage in latentry_refiner.register_stages() if stage.name == "refiner")
    assert rows("| of the refiner |") == declared(stage.options)


def test_every_upscaler_is_named_in_order() -> None:
    table = PAGE[PAGE.index("| upscaler |") : PAGE.index("## From Python")]
    cells = re.findall(r"^\| ((?:`\w+` ?)+)\|", table, re.MULTILINE)
    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == list(get_args(Upscaler))
