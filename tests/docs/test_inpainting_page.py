"""docs/inpainting.md names every option of both tasks."""

import re
from pathlib import Path

import latentry_img2img
import latentry_inpaint

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "inpainting.md").read_text(encoding="utf-8")


def test_the_table_has_every_option_of_inpainting_and_no_other() -> None:
    (task,) = latentry_inpaint.register_tasks()
    first_cells = re.findall(r"^\| ((?:`\w+` ?)+)\|", PAGE, re.MULTILINE)
    named = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(task.options.model_fields)


def test_the_options_of_image_to_image_are_named() -> None:
    (task,) = latentry_img2img.register_tasks()
    text = PAGE[PAGE.index("latentry img2img") :]
    assert [name for name in task.options.model_fields if f"`{name}`" not in text] == []
