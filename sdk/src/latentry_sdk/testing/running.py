"""Run suites by pytest, and hand their outcomes back as values."""

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import pytest

Status = Literal["passed", "failed", "skipped"]
RANKS: dict[str, int] = {"passed": 0, "skipped": 1, "failed": 2}
MOST = 300
"""Characters of a reason."""


@dataclass(frozen=True)
class Outcome:
    """What became of one test: its class, its name, the spec it is of, and why it did not pass."""

    suite: str
    test: str
    subject: str
    status: Status
    reason: str = ""
    given: str = ""


@dataclass
class Recorder:
    """A plugin of pytest that keeps the outcome of each test, the worst of its phases."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test is over."""
        status: Status = report.outcome
        before = self.outcomes.get(report.nodeid)
        if before is None or RANKS[status] > RANKS[before.status]:
            path, _, name = report.nodeid.partition("[")
            suite, test = path.split("::")[-2:]
            given, subject = name.removesuffix("]"), dict(report.user_properties).get("subject", "")
            told = Outcome(suite, test, str(subject), status, _reason(report), given)
            self.outcomes[report.nodeid] = told

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module of suites that cannot be imported has failed."""
        if report.failed:
            self.outcomes[report.nodeid] = Outcome("", report.nodeid, "", "failed", _reason(report))


def run(places: Sequence[str], *, plugins: Sequence[Any] = ()) -> list[Outcome]:
    """The outcomes of suites, run in this process; what pytest prints is left out.

    A place is a file, or `file::class`; without any, nothing is run.
    """
    if not places:
        return []
    recorder, folder = Recorder(), Path(places[0].partition("::")[0]).parent
    flags = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}")
    with redirect_stdout(io.StringIO()):
        pytest.main([*places, *flags, "--import-mode=importlib"], plugins=[recorder, *plugins])
    return list(recorder.outcomes.values())


def run_apart(places: Sequence[str]) -> list[Outcome]:
    """The same, run in a process of its own that is killed at the end, with all that suites leave behind.

    Raises `EOFError` where the process ends before.
    """
    spawn = get_context("spawn")
    read, write = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_tell, args=(places, write))
    process.start()
    write.close()
    try:
        found: list[Outcome] = read.recv()
        return found
    finally:
        process.kill()
        process.join()


def _tell(places: Sequence[str], told: "Connection[list[Outcome], None]") -> None:
    told.send(run(places))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """One line: of a skip what was said, of a failure the error with its message."""
    if report.passed:
        return ""
    found: Any = report.longrepr
    if isinstance(found, tuple):
        text = str(found[2]).removeprefix("Skipped: ")
    else:
        crash = getattr(found, "reprcrash", None)
        text = crash.message if crash else str(found)
    return " ".join(text.split())[:MOST]
