"""docs/workers.md names every option with its default, every message, and a configuration that is legal."""

import re
import tomllib
from pathlib import Path

from latentry import Config
from latentry_sdk import Options, parsed
from latentry_workers import seat, worker
from latentry_workers.options import WorkerOptions, WorkersOptions

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "workers.md").read_text(encoding="utf-8")


def shown(default: object) -> str:
    if isinstance(default, dict):
        return "one" if default else "–"
    return "–" if default is None else f"{default:g}"


def rows(table: str) -> list[tuple[str, str]]:
    """The options and defaults of the table whose first line begins so."""
    part = PAGE[PAGE.index(table) :].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \| (\S+) \| [^|]+ \|$", part, re.MULTILINE)


def declared(options: type[Options]) -> list[tuple[str, str]]:
    fields = options.model_fields.items()
    return [(name, shown(field.get_default(call_default_factory=True))) for name, field in fields]


def test_the_tables_have_every_option_with_its_default_and_no_other() -> None:
    assert rows("| option |") == declared(WorkersOptions)
    assert rows("| of one worker |") == declared(WorkerOptions)


def test_the_configuration_is_legal() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    config = parsed(Config, tomllib.loads(block))
    assert {*parsed(WorkersOptions, config.options["workers"]).processes} == {"first", "second"}


def test_every_message_is_in_the_table_and_no_other() -> None:
    package = Path(seat.__file__).parent
    sent = {
        kind
        for file in package.glob("*.py")
        for kind in re.findall(r'\.send\(\s*"(\w+)"', file.read_text(encoding="utf-8"))
    }
    part = PAGE[PAGE.index("| message |") :].split("\n\n")[0]
    named = set(re.findall(r"^\| `(\w+)` \| (?:host|worker) \|", part, re.MULTILINE))
    assert sent | {"result"} == named
    assert worker.BEAT == 1
