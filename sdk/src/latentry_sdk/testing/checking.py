"""Run the suites that fit what distributions give: `latentry check`, in a process of its own.

`python -m latentry_sdk.testing.checking REPORT DIST…` writes JSON to the file REPORT.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from latentry_sdk import Host, UserError
from latentry_sdk.testing import (
    DeviceContract,
    OptimizerSuite,
    QuantizerSuite,
    SamplerContract,
    SchedulerSuite,
    StageSuite,
    SurfaceSuite,
    checks,
)
from latentry_sdk.testing.running import Outcome, run

GROUP = "latentry.suites"
"""The group of entry points that name modules with suites of a distribution's own."""

KINDS: dict[str, type] = {
    "devices": DeviceContract,
    "samplers": SamplerContract,
    "schedulers": SchedulerSuite,
    "optimizers": OptimizerSuite,
    "quantizers": QuantizerSuite,
    "stages": StageSuite,
    "surfaces": SurfaceSuite,
}


@dataclass(frozen=True)
class Subjects:
    """A plugin of pytest that hands each suite of `checks` the specs that a plugin gave."""

    host: Host
    owner: str

    def of(self, suite: Any) -> list[Any]:
        """The specs that a suite is run for."""
        table = getattr(self.host.registry, suite.table)
        takes = getattr(suite, "takes", lambda _spec: True)
        return [spec for name, spec in table.items() if table.owners[name] == self.owner and takes(spec)]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test for each spec."""
        if hasattr(metafunc.cls, "table") and "spec" in metafunc.fixturenames:
            found = self.of(metafunc.cls)
            metafunc.parametrize("spec", found, ids=[spec.name for spec in found])

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Write down which spec a test is of."""
        for item in items:
            given: Any = getattr(item, "callspec", None)
            spec = given.params.get("spec") if given else None
            item.user_properties.append(("subject", getattr(spec, "name", "")))


def check(distribution: str) -> list[Outcome]:
    """The outcomes of all suites that fit what a distribution gives; `UserError` if it is no plugin's."""
    with Host() as host:
        wanted = canonicalize_name(distribution)
        records = [each for each in host.records if canonicalize_name(each.distribution or "") == wanted]
        if not records:
            raise UserError(f"{distribution} is no installed plugin", fix="see `latentry plugins`")
        return [outcome for record in records for outcome in _of_plugin(host, record)]


def _of_plugin(host: Host, record: Any) -> Iterator[Outcome]:
    loaded = record.status == "active"
    yield Outcome("Plugin", "loads", record.name, "passed" if loaded else "failed", record.reason or "")
    if loaded:
        subjects = Subjects(host, record.name)
        own = [import_module(point.value) for point in _own_points(record.distribution)]
        done = {table for table, base in KINDS.items() if any(_has(module, base) for module in own)}
        kit = [
            f"{checks.__file__}::{name}"
            for name, suite in vars(checks).items()
            if name.startswith("Test") and suite.table not in done and subjects.of(suite)
        ]
        yield from run([*kit, *(str(module.__file__) for module in own)], plugins=[subjects])


def _own_points(distribution: str) -> list[Any]:
    wanted = canonicalize_name(distribution)
    return [point for point in entry_points(group=GROUP)
            if point.dist and canonicalize_name(point.dist.name) == wanted]  # fmt: skip


def _has(module: Any, base: type) -> bool:
    """Whether a module has suites of a kind."""
    found = [value for name, value in vars(module).items() if name.startswith("Test")]
    return any(isinstance(value, type) and issubclass(value, base) for value in found)


def main(arguments: Sequence[str]) -> None:
    """Check distributions, and write what became of each test."""
    report, *distributions = arguments
    found: dict[str, Any] = {}
    for name in distributions:
        try:
            found[name] = [asdict(outcome) for outcome in check(name)]
        except UserError as exc:
            found[name] = [asdict(Outcome("Plugin", "is installed", name, "failed", str(exc)))]
    Path(report).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
