"""docs/model-changes.md names every option of the plugins that change the model, with its default."""

import re
from pathlib import Path

import latentry_freeu
import latentry_pag
import latentry_seamless

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "model-changes.md").read_text(encoding="utf-8")
PLUGINS = (latentry_seamless, latentry_freeu, latentry_pag)


def shown(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(default)
    return "off" if default is False else f"{default:g}"


def test_the_table_has_every_option_with_its_default_and_no_other() -> None:
    rows = re.findall(r"^\| `(latentry-[\w-]+)` \| `(\w+)` \| (\S+) \|", PAGE, re.MULTILINE)
    assert rows == [
        (plugin.__name__.replace("_", "-"), name, shown(field.default))
        for plugin in PLUGINS
        for (stage,) in [plugin.register_stages()]
        for name, field in stage.options.model_fields.items()
    ]
