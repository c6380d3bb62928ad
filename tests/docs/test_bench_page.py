"""docs/bench.md has the fields of the JSON, the defaults of the flags and the limits that the code has."""

import re
from pathlib import Path

from latentry import Config, Host, Request
from latentry_bench import commands, peaks, pictures
from latentry_bench.benching import Asked, Found
from latentry_bench.candidates import ROUNDING, Candidate, Wanted
from latentry_bench.rows import Row
from latentry_bench.showing import as_json

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bench.md").read_text(encoding="utf-8")


def fields(heading: str) -> list[str]:
    """The names in the first column of the table under this head."""
    rows = PAGE.partition(f"| {heading} | |\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_the_tables_of_the_json_are_whole() -> None:
    request = Request(task="toy", prompt="cross")
    rows = [Row(Candidate("toy", "float64"), "failed", "it broke")]
    found = Found(Host(config=Config()).plan(request), rows, None, {}, {}, None)
    values = as_json(found, Asked(request, Wanted()), None, None)
    assert fields("field") == [*values]
    assert fields("field of a row") == [*values["rows"][0]]


def test_the_flags_have_the_defaults_that_the_page_says() -> None:
    defaults = {option.name: option.default for option in commands.bench.params}
    for name in ("runs", "limit"):
        assert f"| `--{name}` | {defaults[name]} |" in PAGE
    assert f"| `TASK` | `{defaults['task']}` |" in PAGE
    shown = set(re.findall(r"`(--[\w-]+)", PAGE.partition("## What is tried")[0]))
    known = {text for option in commands.bench.params for text in (*option.opts, *option.secondary_opts)}
    assert shown <= known
    assert {text for text in known if text.startswith("--")} - shown <= {"--reference"}


def test_the_limits_are_those_of_the_code() -> None:
    assert f"declared error is above {ROUNDING:g}" in PAGE
    assert f"Up to {pictures.EQUAL} it is the same" in PAGE
    assert f"mean difference of up to {pictures.CLOSE:g}" in PAGE
    assert f"products of {peaks.SIDES[0]} to {peaks.SIDES[-1]} rows" in PAGE
    assert f"copies of {peaks.COPIED >> 20} MiB" in PAGE
