"""`latentry doctor`: say what is wrong with this installation, and what to do."""

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

import click

from latentry.config import config_file
from latentry.discovery import clash
from latentry.host import Host
from latentry_cli.console import quiet_stdout
from latentry_sdk.command_lines import show_json, show_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON")
@click.pass_obj
def doctor(host: Host, as_json: bool) -> None:
    """Check plugins, their requirements, devices and models; exit code 1 when something is wrong."""
    with quiet_stdout():
        checks = [*_plugins(host), *_requirements(host), *_devices(host), *_models(host)]
    if as_json:
        show_json({"config": str(config_file(os.environ)), "checks": checks})
    else:
        show_table(checks, ("ok", "what", "detail", "fix"))
    if any(check["ok"] == "no" for check in checks):
        raise click.exceptions.Exit(1)


def _check(what: str, ok: bool, detail: str = "", fix: str | None = None) -> dict[str, Any]:
    return {"ok": "yes" if ok else "no", "what": what, "detail": detail, "fix": fix}


def _plugins(host: Host) -> Iterator[dict[str, Any]]:
    for record in host.records:
        healthy = record.status in ("active", "disabled")
        yield _check(f"plugin {record.name}", healthy, record.reason or record.status, record.fix)


def _requirements(host: Host) -> Iterator[dict[str, Any]]:
    for name in sorted({record.distribution for record in host.records if record.distribution}):
        for problem in unmet(name):
            yield _check(f"requirements of {name}", False, problem, f"pip install --upgrade {name}")


def unmet(distribution: str) -> list[str]:
    """The requirements of a distribution that this environment does not meet, in words."""
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return ["it runs from its source and is not installed"]
    return [problem for line in lines if (problem := clash(line))]


def _devices(host: Host) -> Iterator[dict[str, Any]]:
    reports = host.devices()
    usable = [name for name, report in reports.items() if report.available]
    yield _check(
        "devices", bool(usable), ", ".join(usable) or "none is available", "pip install latentry-cpu"
    )
    for name, report in reports.items():
        if not report.available:
            yield {**_check(f"device {name}", True, report.detail, report.fix), "ok": "-"}


def _models(host: Host) -> Iterator[dict[str, Any]]:
    names = [entry.name for entry in host.models()]
    yield _check("models", bool(names), ", ".join(names) or "none is there", "pip install latentry-emoji")
