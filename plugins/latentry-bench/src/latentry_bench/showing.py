"""The account of a bench: as a table, as JSON, and of a profile."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from latentry_bench.benching import Asked, Found
from latentry_bench.machine import changed, signature
from latentry_bench.profile import Profile
from latentry_bench.rows import Row
from latentry_sdk.command_lines import show_json, show_table
from latentry_sdk.words import time

SCHEMA = 1
HEAD = (
    "",
    "device",
    "dtype",
    "optimizers",
    "first",
    "picture",
    "spread",
    "step",
    "memory",
    "apart",
    "same",
    "share",
)

KEPT = ("model", "values", "size", "device", "dtype", "optimizers", "picture", "measured")


def as_json(found: Found, asked: Asked, won: Row | None, saved: str | None) -> Mapping[str, Any]:
    """All that was found, JSON-able: seconds, bytes, and operations with floats a second."""
    plan, request = found.plan, asked.request
    return {
        "schema": SCHEMA,
        "machine": dict(signature()),
        "job": {
            "task": request.task,
            "model": plan.header.path.name,
            "family": plan.family.name,
            "variant": plan.detected.variant,
            "parameters": dict(plan.detected.components),
            "size": [*plan.size],
            "steps": request.steps,
            "batch": request.batch,
            "guidance": request.guidance,
            "runs": asked.runs,
        },
        "work": found.work,
        "uncounted": found.uncounted,
        "reference": found.reference,
        "rows": [_row(row) for row in found.rows],
        "winner": found.rows.index(won) if won else None,
        "saved": saved,
    }


def show(found: Found, asked: Asked, won: Row | None, saved: str | None) -> None:
    """Print the table, the fastest first, and under it what could not be measured and why."""
    measured = sorted((row for row in found.rows if row.status == "measured"), key=_seconds)
    if measured:
        plan, request = found.plan, asked.request
        size = "{} × {}".format(*plan.size)
        click.echo(
            f"{plan.header.path.name}, {request.task}, {size}, {request.steps} steps, {asked.runs} warm runs"
        )
        show_table([dict(zip(HEAD, _cells(row, won), strict=True)) for row in measured], HEAD)
    for line in _under(found, won, saved):
        click.echo(line)


def show_profile(profile: Profile | None, where: str, *, json_wanted: bool) -> None:
    """Print the profile, and whether it is of this machine."""
    problem = changed(profile.machine, signature()) if profile else None
    if json_wanted:
        values = profile.model_dump(mode="json") if profile else None
        return show_json({"path": where, "profile": values, "problem": problem})
    if profile is None:
        return click.echo(f"there is no profile at {where}; latentry bench --save writes one")
    click.echo(where)
    if problem:
        click.echo(f"it is not used: {problem}")
    rows = [
        (
            entry.variant, f"{entry.parameters}", "{} × {}".format(*entry.size), entry.device, entry.dtype,
            ", ".join(entry.optimizers) or "none", time(entry.picture), entry.measured,
        )
        for entry in profile.entries
    ]  # fmt: skip
    return show_table([dict(zip(KEPT, row, strict=True)) for row in rows], KEPT)


def _row(row: Row) -> Mapping[str, Any]:
    way = row.candidate
    return {
        "device": way.device,
        "dtype": way.dtype,
        "optimizers": list(way.optimizers),
        "approximate": way.approximate,
        "status": row.status,
        "why": row.why,
        "first": row.first,
        "picture": asdict(row.picture) if row.picture else None,
        "step": asdict(row.step) if row.step else None,
        "memory": {"bytes": row.memory, "of": row.memory_of} if row.memory else None,
        "difference": {**asdict(row.difference), "same": row.difference.word} if row.difference else None,
        "work": asdict(row.work) if row.work else None,
        "peak": {**asdict(row.peak), "own": row.own_peak} if row.peak else None,
        "bound": row.bound,
        "share": row.share,
        "applied": {"optimizers": list(row.optimized), "dtypes": row.dtypes, "notes": list(row.notes)},
    }


def _cells(row: Row, won: Row | None) -> tuple[str, ...]:
    way, apart = row.candidate, row.difference
    picture = row.picture
    return (
        "*" if row is won else "~" if way.approximate else "",
        way.device,
        way.dtype,
        ", ".join(row.optimized) or "none",
        time(row.first),
        time(picture.median if picture else None),
        f"{time(picture.least)} – {time(picture.most)}" if picture else "",
        time(row.step.median if row.step else None),
        f"{row.memory / 1e6:.0f} MB" if row.memory else "?",
        f"{apart.largest}" if apart else "?",
        apart.word if apart else "?",
        f"{row.share:.0%}{'' if row.own_peak else ' ¹'}" if row.share else "?",
    )


def _under(found: Found, won: Row | None, saved: str | None) -> Iterator[str]:
    if any(row.share and not row.own_peak for row in found.rows):
        yield "¹ of what torch reaches on the processor: this device runs no torch"
    yield from _problems(found)
    yield from [_roofline(row) for row in found.rows if row.work and row.peak][:1]
    yield _won(won)
    if saved:
        yield f"written to {saved}"


def _problems(found: Found) -> Iterator[str]:
    for row in found.rows:
        if row.status == "measured" and row.why:
            yield f"{row.candidate}: measured, but the process {row.why}"
        elif row.status in ("failed", "timeout"):
            yield f"{row.candidate}: {row.why}"
    unfit: dict[str, dict[str, None]] = {}
    for row in found.rows:
        if row.status == "unfit":
            unfit.setdefault(row.candidate.device, {})[row.candidate.optimizer] = None
    yield from (f"{device} does not take {', '.join(names)}" for device, names in unfit.items())


def _won(won: Row | None) -> str:
    if won is None:
        return "nothing to recommend"
    kept = {"yes": "the same picture", "close": "a picture alike", "no": "another picture"}
    word = "no" if won.candidate.approximate else won.difference.word if won.difference else ""
    return f"fastest with {kept.get(word, 'a picture that was not compared')}: {won.candidate}"


def _roofline(row: Row) -> str:
    work, peak = row.work, row.peak
    assert work
    assert peak
    return (
        f"a step is {work.flops / 1e9:.3g} GFLOP and {work.bytes / 1e6:.3g} MB; {peak.where} reaches "
        f"{peak.flops / 1e9:.3g} GFLOP/s in {peak.dtype} and {peak.bandwidth / 1e9:.3g} GB/s"
    )


def _seconds(row: Row) -> float:
    return row.picture.median if row.picture else 0.0
