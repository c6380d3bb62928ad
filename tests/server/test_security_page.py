"""docs/security.md: its tables say which flags and scopes there are, and what their defaults are."""

import re
from pathlib import Path
from typing import get_args

import pytest

from latentry_api.errors import type_of
from latentry_api.security.options import SecurityOptions
from latentry_api.security.refusing import Refused
from latentry_sdk.service import Scope

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
LIMITS = re.findall(r"^\| `--([\w-]+)` \| ([\d.]+) \|", PAGE, re.MULTILINE)


def test_every_flag_is_on_the_page() -> None:
    named = set(re.findall(r"--([a-z][a-z-]+)", PAGE))
    assert {name.replace("_", "-") for name in SecurityOptions.model_fields} <= named


@pytest.mark.parametrize(("flag", "default"), LIMITS)
def test_a_limit_has_the_default_that_the_page_names(flag: str, default: str) -> None:
    assert SecurityOptions.model_fields[flag.replace("-", "_")].default == float(default)


def test_every_limit_is_in_the_table() -> None:
    numbers = {name for name, field in SecurityOptions.model_fields.items()
               if isinstance(field.default, int | float) and not isinstance(field.default, bool)}  # fmt: skip
    assert {name.replace("_", "-") for name in numbers} - {"fetch-seconds"} == {flag for flag, _ in LIMITS}
    assert f"`--fetch-seconds`, {SecurityOptions.model_fields['fetch_seconds'].default}" in PAGE


def test_every_refusal_is_named() -> None:
    types = sorted(type_of(kind("")) for kind in Refused.__subclasses__())
    paragraph = next(part for part in PAGE.split("\n\n") if part.startswith("A refusal"))
    assert re.findall(r"`([a-z]+_[a-z_]+)`", paragraph) == types


def test_every_scope_is_in_the_table() -> None:
    table = PAGE[PAGE.index("| scope |") :].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(get_args(Scope))


def test_the_tests_that_hold_it_are_there() -> None:
    named = re.findall(r"`((?:tests|plugins)/[\w/.-]+\.py)`", PAGE)
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []
