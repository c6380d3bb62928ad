"""`latentry check`: hold installed plugins to the suites of the sdk."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from latentry.errors import PluginError, Unavailable, check_known
from latentry.host import Host
from latentry_sdk.command_lines import show_json, show_table

MODULE = "latentry_sdk.testing.checking"
Outcomes = Mapping[str, Sequence[Mapping[str, str]]]
"""What became of each test, by distribution."""


@click.command()
@click.argument("distributions", nargs=-1, required=True, metavar="DIST...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON")
@click.pass_obj
def check(host: Host, distributions: Sequence[str], as_json: bool) -> None:
    """Run the suites that fit what each distribution gives; exit code 1 when one fails."""
    known = {record.distribution for record in host.records if record.distribution} - {"latentry"}
    check_known("plugin", distributions, sorted(known))
    found = outcomes(distributions)
    if as_json:
        show_json(found)
    else:
        show_table([*rows(found)], ("plugin", "suite", "subject", "passed", "failed", "skipped", "reason"))
        for line in failures(found):
            click.echo(line)
    if any(one["status"] == "failed" for each in found.values() for one in each):
        raise click.exceptions.Exit(1)


def outcomes(distributions: Sequence[str]) -> Outcomes:
    """Run the suites in a process of its own, since they need what a plugin brings, and may crash with it."""
    if find_spec("pytest") is None:
        raise Unavailable("the suites need pytest", fix='pip install "latentry[sdk]"')
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", MODULE, str(report), *distributions]
        done = subprocess.run(command, stdout=2, check=False)  # tests may print
        if not report.exists():
            raise PluginError(f"the process of the suites ended with exit code {done.returncode}")
        found: Outcomes = json.loads(report.read_text(encoding="utf-8"))
    return found


def rows(found: Outcomes) -> Iterator[Mapping[str, Any]]:
    """A line for each suite of each subject; the reason is that of what failed, else of what was skipped."""
    for plugin, each in found.items():
        for suite, subject in dict.fromkeys((one["suite"], one["subject"]) for one in each):
            own = [one for one in each if (one["suite"], one["subject"]) == (suite, subject)]
            counts = Counter(one["status"] for one in own)
            reasons = [one["reason"] for status in ("failed", "skipped") for one in own
                       if one["status"] == status]  # fmt: skip
            row = {"plugin": plugin, "suite": suite.removeprefix("Test"), "subject": subject, **counts}
            yield {**row, "reason": next(iter(reasons), "")[:60]}


def failures(found: Outcomes) -> Iterator[str]:
    """A line for each test that failed, with its whole reason."""
    for plugin, each in found.items():
        for one in each:
            if one["status"] == "failed":
                given = f"[{one['given']}]" if one["given"] else ""
                yield f"\n{plugin}: {one['suite']}.{one['test']}{given}\n    {one['reason']}"
