"""Each suite tells each promise that a plugin breaks, by the test that is for it and by no other."""

import inspect
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from latentry_sdk.testing.running import run_apart

WRONG = sorted(Path(__file__).parent.glob("wrong/*.py"))

pytestmark = pytest.mark.slow


def suites(path: Path) -> dict[str, Any]:
    """The suites of a module of wrong plugins by name."""
    about = spec_from_file_location(f"wrong_{path.stem}", path)
    assert about
    assert about.loader
    module = module_from_spec(about)
    about.loader.exec_module(module)
    return {name: value for name, value in vars(module).items() if name.startswith("Test")}


def promises(suite: type) -> set[str]:
    """The names of a suite's tests."""
    return {name for name, value in inspect.getmembers(suite) if name.startswith("test_") and value}


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_broken_promise_fails_the_test_that_is_for_it(path: Path) -> None:
    found = suites(path)
    told: dict[str, set[str]] = {name: set() for name in found}
    for outcome in run_apart([str(path)]):
        assert outcome.suite in told, outcome
        if outcome.status == "failed":
            told[outcome.suite].add(outcome.test)
    assert told == {name: {suite.fails} - {""} for name, suite in found.items()}


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_every_promise_is_broken_by_one(path: Path) -> None:
    found = suites(path).values()
    assert set.union(*map(promises, found)) == {suite.fails for suite in found} - {""}
